import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, event } from '../support/fakes.js';

test('a listener that throws is told of as an error', async () => {
  const bench = new Bench();
  const errors: string[] = [];
  bench.client.on('error', error => errors.push(error.message));
  bench.client.on('event', () => { throw new Error('of the page'); });
  const socket = await bench.connected();
  socket.say(event('user:ann', 1, { epoch: 'e' }));
  assert.deepEqual(errors, ['of the page']);
});

test('a listener for errors that throws harms nobody', async context => {
  const told = context.mock.method(console, 'error', () => {});
  const bench = new Bench();
  const heard: unknown[] = [];
  bench.client.on('error', () => { throw new Error('of the listener for errors'); });
  bench.client.on('error', error => heard.push(error.message));
  bench.client.on('notification', () => { throw new Error('of the page'); });
  bench.client.on('notification', one => heard.push(one.offset));
  const socket = await bench.connected();
  socket.say(event('user:ann', 1, { epoch: 'e' }));
  assert.deepEqual(heard, ['of the page', 1]);
  assert.equal(told.mock.callCount(), 1);
  await bench.clock.pass(50);
  assert.equal(socket.all('ack').length, 1);
});
