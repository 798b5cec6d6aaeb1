import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Liveness } from '../../src/session/liveness.js';

describe('a connection that can be asked', () => {
  test('is asked at once, and then every interval', () => {
    const liveness = new Liveness(25_000, true, 0);
    assert.equal(liveness.next(0), 'ping');
    liveness.heard(40);
    liveness.pong(40);
    assert.equal(liveness.roundTrip, 40);
    assert.equal(liveness.next(40), 24_960);
    assert.equal(liveness.next(25_000), 'ping');
  });

  test('is not asked for ever, whatever the interval', () => {
    const liveness = new Liveness(0, true, 0);
    assert.equal(liveness.next(0), 'ping');
    assert.equal(liveness.next(0), 100);
  });

  test('is dead when nothing comes within the grace, and not a moment earlier', () => {
    const liveness = new Liveness(25_000, true, 0);
    liveness.next(0);
    assert.equal(liveness.next(9_999), 1);
    assert.equal(liveness.next(10_000), 'dead');
  });

  test('lives by anything that comes in, pong or not', () => {
    const liveness = new Liveness(25_000, true, 0);
    liveness.next(0);
    liveness.heard(9_000);
    assert.equal(liveness.next(10_000), 15_000);
    assert.equal(liveness.roundTrip, null);
  });

  test('is asked at once when there is a doubt, and has less time', () => {
    const liveness = new Liveness(25_000, true, 0);
    liveness.next(0);
    liveness.heard(10);
    liveness.probe(5_000);
    assert.equal(liveness.next(5_000), 'ping');
    assert.equal(liveness.next(9_000), 'dead');
  });

  test('is excused once when it is asked late: the machine has slept', () => {
    const liveness = new Liveness(25_000, true, 0);
    liveness.next(0);
    assert.equal(liveness.next(3_600_000), 1_000);
    assert.equal(liveness.next(3_601_000), 'dead');
  });
});

describe('a connection that is only listened to', () => {
  test('is given its interval and the grace', () => {
    const liveness = new Liveness(25_000, false, 0);
    assert.equal(liveness.next(0), 35_000);
    liveness.heard(20_000);
    assert.equal(liveness.next(35_000), 20_000);
    assert.equal(liveness.next(55_000), 'dead');
  });
});
