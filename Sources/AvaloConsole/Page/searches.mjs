/** Connections, presence, topics. */
import { ask } from './ask.mjs';
import { counted, element, format, link, mark, table } from './elements.mjs';
import { card, facts, nothing, Search } from './search.mjs';
import { findTrace } from './trace.mjs';

const levels = { online: 'good', away: 'warn', busy: 'bad', offline: 'idle' };
const user = id => link('trace', { user: id }, id);
const topic = name => link('topics', { name }, name);
const shortened = (text = '') => text.length > 300 ? `${text.slice(0, 300)} …` : text;

/** Elements with a comma between them. */
const listed = all => element('span', {}, ...all.flatMap((one, place) => place ? [', ', one] : [one]));

/** The next page, when there is one. */
function more(view, params, next) {
  return next && element('p', { class: 'more' }, link(view, { ...params, ...next }, 'Next page'));
}

const cursor = ({ nextCursor }) => nextCursor === null || nextCursor === undefined ? undefined : { cursor: nextCursor };

async function findConnections(params) {
  const { result } = await ask('connections', params);
  if (!result.connections.length) return nothing(params.user ? `${params.user} has no connection.` : 'Nobody is connected.');
  const rows = result.connections.map(one => {
    const rest = one.subscriptionCount - one.subscriptions.length;
    return [
      one.connectionId, user(one.userId), one.deviceId, one.platform, format.ago(one.connectedAt), format.ago(one.lastPingAt),
      listed([...one.subscriptions.map(topic), ...rest > 0 ? [`and ${rest} more`] : []]),
    ];
  });
  const told = counted(rows.length, 'connection');
  const columns = ['Connection', 'User', 'Device', 'Platform', ['Since', 'tight'], ['Heard of', 'tight'], 'Topics'];
  return { told, parts: [card(table(told, columns, rows), more('connections', params, cursor(result)))] };
}

async function findPresence(params) {
  const { result } = await ask('presence', params);
  const users = result.users ?? Object.entries(result.presence).map(([userId, one]) => ({ userId, ...one }));
  if (!users.length) return nothing('Nobody is here.');
  const rows = users.map(one => [
    user(one.userId), mark(levels[one.status] ?? 'idle', one.status), format.ago(one.lastSeenAt), format.ago(one.lastActiveAt),
    one.platform, one.customStatus, link('connections', { user: one.userId }, 'connections'),
  ]);
  const told = result.total === undefined ? counted(rows.length, 'user') : `${rows.length} of ${result.total} users who are here`;
  const columns = ['User', 'Status', ['Last seen', 'tight'], ['Last active', 'tight'], 'Platform', 'Says', 'More'];
  return { told, parts: [card(table(told, columns, rows), more('presence', params, cursor(result)))] };
}

async function findTopic(params) {
  if (!params.name) return nothing('Name a topic: KIND:ID, such as user:ann or chat:42.');
  const { topic: { name, head, floor, epoch, watchers, bytes }, events: page } = await ask('topic', params);
  const rows = page.events.map(one => [
    String(one.offset), link('trace', { event: one.eventId, topic: name }, one.eventId), one.type,
    one.sourceUserId ? user(one.sourceUserId) : '–', format.time(one.acceptedAt), format.time(one.expiresAt),
    element('span', { class: 'code' }, shortened(JSON.stringify(one.payload))),
  ]);
  const told = `${counted(rows.length, 'event')} of ${name}`;
  const columns = [['Offset', 'number'], 'Event', 'Type', 'From', ['Accepted', 'tight'], ['Until', 'tight'], 'Payload'];
  const next = page.through < head ? { after: page.through } : undefined;
  return { told, parts: [card(
    element('h2', {}, name),
    facts([['Head', head], ['Floor', floor], ['Epoch', epoch], ['Watched by', counted(watchers, 'gateway loop')], ['Size', format.bytes(bytes)]]),
    rows.length ? table(told, columns, rows) : element('p', {}, 'It holds no event there.'),
    more('topics', { name }, next))] };
}

export const searches = {
  connections: () => new Search('connections', [['user', 'User', 'everybody']], findConnections),
  presence: () => new Search('presence', [['user', 'Users', 'everybody who is here']], findPresence),
  topics: () => new Search('topics', [['name', 'Topic', 'user:ann'], ['after', 'Behind offset', 'the last ones']], findTopic),
  // It reads through all that is kept: once, when it is asked for.
  trace: () => new Search('trace', [['event', 'Event', 'evt_…'], ['user', 'User', 'ann'], ['topic', 'Topic', 'anywhere']], findTrace, false),
};
