import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff } from '../../src/session/backoff.js';
import { Ladder } from '../../src/session/ladder.js';

const all = () => true;

test('WebSockets come first, and again after everything else has failed', () => {
  const ladder = new Ladder(null, all);
  const seen = [];
  for (let i = 0; i < 6; i++) {
    seen.push(ladder.rung);
    ladder.missed();
  }
  assert.deepEqual(seen, ['websocket', 'websocket', 'sse', 'poll', 'websocket', 'websocket']);
});

test('a success in between forgets the failure', () => {
  const ladder = new Ladder(null, all);
  ladder.missed();
  ladder.ready();
  ladder.missed();
  assert.equal(ladder.rung, 'websocket');
});

test('what worked in this session is where it begins', () => {
  assert.equal(new Ladder('poll', all).rung, 'poll');
  assert.equal(new Ladder('pigeon', all).rung, 'websocket');
});

test('what is not there is passed over', () => {
  assert.equal(new Ladder(null, name => name !== 'websocket').rung, 'sse');
  assert.equal(new Ladder('sse', name => name === 'poll').rung, 'poll');
  const ladder = new Ladder(null, name => name !== 'sse');
  const seen = Array.from({ length: 4 }, () => (ladder.missed(), ladder.rung));
  assert.deepEqual(seen, ['websocket', 'poll', 'websocket', 'websocket']);
  assert.equal(new Ladder(null, name => name === 'sse').nextProbe(), null);
});

test('where nothing is there, it is a WebSocket that is missing', () => {
  const ladder = new Ladder(null, () => false);
  assert.equal(ladder.rung, 'websocket');
  for (let i = 0; i < 5; i++) ladder.missed();
  assert.equal(ladder.rung, 'websocket');
});

test('WebSockets are tried again, ever more rarely, until they are in use', () => {
  const ladder = new Ladder('sse', all);
  assert.deepEqual([1, 2, 3, 4].map(() => ladder.nextProbe()), [5_000, 60_000, 300_000, 300_000]);
  ladder.upgrade();
  assert.equal(ladder.rung, 'websocket');
  assert.equal(ladder.nextProbe(), null);
});

test('a delay is anything up to a bound that doubles to 30 s', () => {
  assert.equal(backoff(1, 3000, () => 0), 0);
  assert.equal(backoff(1, 3000, () => 0.9999), 2999);
  assert.equal(backoff(3, 3000, () => 0.5), 6000);
  assert.equal(backoff(50, 3000, () => 0.5), 15_000);
});
