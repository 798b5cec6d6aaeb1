import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RealtimeError } from '../../src/errors.js';

test('an error of another bundle is one as well', () => {
  class RealtimeErrorOfAnother extends Error {
    override readonly name = 'RealtimeError';
  }
  const theirs: unknown = new RealtimeErrorOfAnother();
  assert(theirs instanceof RealtimeError);
  for (const other of [new Error('no'), null, undefined, 'RealtimeError']) assert(!((other as unknown) instanceof RealtimeError));
});

test('errors know whether trying again makes sense', () => {
  assert.equal(new RealtimeError('UNAVAILABLE', '').isTransient, true);
  assert.equal(new RealtimeError('PERMISSION_DENIED', '').isTransient, false);
});
