import assert from 'node:assert/strict';
import { test } from 'node:test';
import { surroundings } from '../../src/environment.js';

test('the clock is one that nobody sets, and no timer is too long for it', context => {
  const { now, setTimeout, clearTimeout } = surroundings();
  const before = now();
  context.mock.method(Date, 'now', () => 0);
  assert(now() >= before);
  const set = context.mock.method(globalThis, 'setTimeout');
  clearTimeout(setTimeout(() => {}, Infinity));
  assert.equal(set.mock.calls[0]!.arguments[1], 2 ** 31 - 1);
});
