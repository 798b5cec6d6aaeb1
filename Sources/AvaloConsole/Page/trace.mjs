/** What became of an event, and how it stands with a user: why somebody did not get what they should have. */
import { ask } from './ask.mjs';
import { counted, element, format, link, mark, table } from './elements.mjs';
import { card, facts, nothing } from './search.mjs';

const levels = { acknowledged: 'good', written: 'good', waiting: 'warn', lost: 'bad' };
const outcome = word => mark(levels[word] ?? 'idle', word);
const topicLink = name => name && link('topics', { name }, name);
const list = lines => lines?.length ? element('ul', { class: 'why' }, ...lines.map(line => element('li', {}, line))) : undefined;

export async function findTrace(params) {
  if (!params.event && !params.user) return nothing('Name an event, or a user.');
  const { event, user } = await ask('trace', params);
  return event ? ofEvent(event) : ofUser(user);
}

function ofEvent({ eventId, copies }) {
  if (!copies.length) {
    return nothing(`Nothing is known of ${eventId}: it was never accepted, or its traces are gone (ten minutes after it was).`);
  }
  return { told: `${copies.length === 1 ? '1 copy' : `${copies.length} copies`} of ${eventId}`, parts: copies.map(copy => ofCopy(eventId, copy)) };
}

function ofCopy(eventId, copy) {
  const devices = copy.devices ?? [];
  return card(
    element('h2', {}, eventId),
    facts([
      ['Type', copy.type], ['Topic', topicLink(copy.topic)], ['Offset', copy.offset || undefined], ['State', copy.state],
      ['Published by', copy.owner], ['Accepted', copy.acceptedAt && format.time(copy.acceptedAt)],
      ['Until', copy.expiresAt && format.time(copy.expiresAt)], ['Held until', copy.due && format.time(copy.due)],
      ['Recipients', copy.recipients],
    ]),
    devices.length ? table(counted(devices.length, 'device'), ['User', 'Device', 'Outcome', 'Why'], devices.map(one =>
      [link('trace', { user: one.user }, one.user), one.device, outcome(one.outcome), one.why])) : element('p', {}, 'No device reads it.'),
    list(copy.reasons));
}

function ofUser({ user, head, devices, connections, events, exceptions }) {
  if (!devices.length && !connections.length && !events.length && !exceptions.length) return nothing(`Nothing is known of ${user}.`);
  return { told: `${counted(devices.length, 'device')}, ${counted(connections.length, 'subscription')}, ${counted(events.length, 'event')} of ${user}`, parts: [
    card(element('h2', {}, user), facts([['Inbox', topicLink(`user:${user}`)], ['Head', head],
      ['More', element('span', {}, link('presence', { user }, 'presence'), ', ', link('connections', { user }, 'connections'))]]),
    table('Devices', ['Device', 'Connected', ['Last seen', 'tight'], 'Acknowledged'], devices.map(one =>
      [one.device, one.open ? 'yes' : 'no', format.time(one.seenAt), one.cursor === undefined ? 'nothing' : `up to ${one.cursor}`]))),
    ...connections.length ? [card(table('Subscriptions', ['Connection', 'Device', 'Topic', 'State', 'Written'], connections.map(one =>
      [one.connection, one.device, topicLink(one.topic), one.state, one.through === undefined ? '–' : `up to ${one.through}`])))] : [],
    ...events.length ? [card(table('The last events of the inbox', [['Offset', 'number'], 'Event', 'Type', ['Accepted', 'tight'], 'Devices'],
      events.map(one => [String(one.offset), link('trace', { event: one.eventId, user }, one.eventId), one.type, format.time(one.acceptedAt),
        element('span', {}, ...one.devices.flatMap((device, place) => [place ? ', ' : '', `${device.device} `, outcome(device.outcome)]))])))] : [],
    ...exceptions.length ? [card(element('h2', {}, 'What went otherwise'), list(exceptions))] : [],
  ] };
}
