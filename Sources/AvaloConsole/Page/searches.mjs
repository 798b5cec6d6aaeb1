/** What is looked for: connections, presence, topics. Each is a form, and below it what was found. */
import { ask } from './ask.mjs';
import { element, format, link, mark, table } from './elements.mjs';

/** `fields` of the form: `[name, label, placeholder]`. `find(params)` answers the elements to show. */
class Search {
  constructor(view, fields, find) {
    Object.assign(this, { view, fields, find });
  }

  /** Builds the form with what the address says; an empty question is asked where that makes sense. */
  open(params) {
    this.found = element('div', { class: 'found', 'aria-live': 'polite' });
    const inputs = this.fields.map(([name, label, placeholder]) => element('label', {}, label,
      element('input', { name, placeholder, value: params[name] ?? '', maxlength: 256, autocomplete: 'off', spellcheck: 'false' })));
    const form = element('form', { class: 'search', onsubmit: event => {
      event.preventDefault();
      const said = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
      const hash = `#${this.view}?${new URLSearchParams(said)}`;
      if (location.hash === hash) dispatchEvent(new HashChangeEvent('hashchange'));
      else location.hash = hash;
    } }, ...inputs, element('button', {}, 'Look'));
    this.params = params;
    return [element('section', { class: 'card' }, form), this.found];
  }

  async refresh() {
    const found = await this.find(this.params);
    if (found) this.found.replaceChildren(...found);
  }
}

const card = (...children) => element('section', { class: 'card' }, ...children);
const nothing = text => card(element('p', {}, text));
const levels = { online: 'good', away: 'warn', busy: 'bad', offline: 'idle' };
const user = id => link('connections', { user: id }, id);
const topic = name => link('topics', { name }, name);

/** Elements with a comma between them. */
const listed = all => element('span', {}, ...all.flatMap((one, place) => place ? [', ', one] : [one]));

/** The next page, when there is one. */
function more(view, params, cursor) {
  if (cursor === null || cursor === undefined) return undefined;
  return element('p', { class: 'more' }, link(view, { ...params, cursor }, 'Next page'));
}

export const searches = {
  connections: () => new Search('connections', [['user', 'User', 'everybody']], async params => {
    const { result } = await ask('connections', params);
    if (!result.connections.length) return [nothing(params.user ? `${params.user} has no connection.` : 'Nobody is connected.')];
    const rows = result.connections.map(one => {
      const rest = one.subscriptionCount - one.subscriptions.length;
      return [
        one.connectionId, user(one.userId), one.deviceId, one.platform, format.ago(one.connectedAt), format.ago(one.lastPingAt),
        listed([...one.subscriptions.map(topic), ...rest > 0 ? [`and ${rest} more`] : []]),
      ];
    });
    return [card(table(`${rows.length} connections`, ['Connection', 'User', 'Device', 'Platform', ['Since', 'tight'],
      ['Heard of', 'tight'], 'Topics'], rows), more('connections', params, result.nextCursor))];
  }),

  presence: () => new Search('presence', [['user', 'Users', 'everybody who is here']], async params => {
    const { result } = await ask('presence', params);
    const users = result.users ?? Object.entries(result.presence).map(([userId, one]) => ({ userId, ...one }));
    if (!users.length) return [nothing('Nobody is here.')];
    const rows = users.map(one => [
      user(one.userId), mark(levels[one.status] ?? 'idle', one.status), format.ago(one.lastSeenAt), format.ago(one.lastActiveAt),
      one.platform, one.customStatus, link('connections', { user: one.userId }, 'connections'),
    ]);
    const caption = result.total === undefined ? `${rows.length} users` : `${rows.length} of ${result.total} users who are here`;
    return [card(table(caption, ['User', 'Status', ['Last seen', 'tight'], ['Last active', 'tight'], 'Platform', 'Says', ''], rows),
      more('presence', params, result.nextCursor))];
  }),

  topics: () => new Search('topics', [['name', 'Topic', 'user:ann'], ['after', 'Behind offset', 'the last ones']], async params => {
    if (!params.name) return [nothing('Name a topic: KIND:ID, such as user:ann or chat:42.')];
    const { topic: facts, events: page } = await ask('topic', params);
    const rows = page.events.map(one => [
      String(one.offset), one.eventId, one.type,
      one.sourceUserId ? user(one.sourceUserId) : '–', format.time(one.acceptedAt), format.time(one.expiresAt),
      element('span', { class: 'code' }, shortened(JSON.stringify(one.payload))),
    ]);
    const list = [['Head', facts.head], ['Floor', facts.floor], ['Epoch', facts.epoch],
      ['Watched by', `${facts.watchers} gateway loops`], ['Size', format.bytes(facts.bytes)]];
    return [card(
      element('h2', {}, facts.name),
      element('dl', { class: 'facts' }, ...list.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, String(value))])),
      rows.length ? table(`${rows.length} events`, [['Offset', 'number'], 'Event', 'Type', 'From', ['Accepted', 'tight'],
        ['Until', 'tight'], 'Payload'], rows) : element('p', {}, 'It holds no event there.'),
      page.through < facts.head
        ? element('p', { class: 'more' }, link('topics', { name: params.name, after: page.through }, 'Next page')) : undefined)];
  }),
};

const shortened = (text = '') => text.length > 300 ? `${text.slice(0, 300)} …` : text;
