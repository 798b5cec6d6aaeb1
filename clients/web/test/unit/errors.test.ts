import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RealtimeError } from '../../src/errors.js';

test('errors know whether trying again makes sense', () => {
  assert.equal(new RealtimeError('UNAVAILABLE', '').isTransient, true);
  assert.equal(new RealtimeError('PERMISSION_DENIED', '').isTransient, false);
});
