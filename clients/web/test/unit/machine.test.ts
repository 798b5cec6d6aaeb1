import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Action, Machine, type Phase } from '../../src/session/machine.js';

function make(max = 3): Machine {
  return new Machine({ reconnectInterval: 1000, maxReconnectAttempts: max, random: () => 0.5 });
}

const does = (actions: Action[]) => actions.map(action => action.do);
const delay = (actions: Action[]) => actions.flatMap(a => (a.do === 'timer' && a.name === 'retry' ? [a.ms] : []))[0];

/** A machine in a phase, refreshable or not. */
function at(phase: Phase, refreshable = true): Machine {
  const machine = make();
  if (phase === 'idle') return machine;
  machine.connect(refreshable, phase !== 'offline');
  if (phase === 'token' || phase === 'offline') return machine;
  machine.tokenReady(machine.generation);
  if (phase === 'opening') return machine;
  if (phase === 'waiting') {
    machine.closed(machine.generation, { code: 1006 });
    return machine;
  }
  machine.ready(machine.generation);
  if (phase === 'stopped') machine.closed(machine.generation, { code: 4503 });
  return machine;
}

const phases: Phase[] = ['idle', 'token', 'opening', 'connected', 'waiting', 'offline', 'stopped'];

describe('the way to a connection', () => {
  test('goes from a token over a transport to connected', () => {
    const machine = make();
    assert.deepEqual(does(machine.connect(true, true)), ['drop', 'timer', 'token']);
    assert.deepEqual(does(machine.tokenReady(machine.generation)), ['open']);
    assert.deepEqual(does(machine.ready(machine.generation)), ['timer']);
    assert.equal(machine.phase, 'connected');
  });

  test('waits for the network before the first token', () => {
    const machine = make();
    machine.connect(true, false);
    assert.equal(machine.phase, 'offline');
    assert.deepEqual(does(machine.online()), ['timer', 'token']);
  });

  test('is given up by the deadline, with or without a token', () => {
    for (const phase of ['token', 'opening'] as const) {
      const machine = at(phase);
      machine.timer('deadline', machine.generation);
      assert.equal(machine.phase, 'waiting');
      assert.equal(machine.attempts, 1);
    }
  });
});

describe('whatever belongs to another generation', () => {
  for (const phase of phases) {
    test(`changes nothing while ${phase}`, () => {
      const machine = at(phase);
      for (const old of [machine.generation - 1, machine.generation + 1]) {
        assert.deepEqual(machine.tokenReady(old), []);
        assert.deepEqual(machine.tokenFailed(old, true), []);
        assert.deepEqual(machine.ready(old), []);
        assert.deepEqual(machine.closed(old, { code: 4500 }), []);
        for (const name of ['retry', 'deadline', 'stable'] as const) assert.deepEqual(machine.timer(name, old), []);
      }
      assert.equal(machine.phase, phase);
    });
  }
});

describe('what cannot be', () => {
  const impossible: [string, Phase[], (machine: Machine) => Action[]][] = [
    ['a token', ['idle', 'opening', 'connected', 'waiting', 'offline', 'stopped'], m => m.tokenReady(m.generation)],
    ['no token', ['idle', 'opening', 'connected', 'waiting', 'offline', 'stopped'], m => m.tokenFailed(m.generation, true)],
    ['ready', ['idle', 'token', 'connected', 'waiting', 'offline', 'stopped'], m => m.ready(m.generation)],
    ['a close', ['idle', 'token', 'waiting', 'offline', 'stopped'], m => m.closed(m.generation, { code: 4500 })],
    ['a retry', ['idle', 'token', 'opening', 'connected', 'offline', 'stopped'], m => m.timer('retry', m.generation)],
    ['a reopen', ['idle', 'token', 'waiting', 'offline', 'stopped'], m => m.reopen()],
  ];
  for (const [what, where, input] of impossible) {
    for (const phase of where) {
      test(`${what} while ${phase} changes nothing`, () => {
        const machine = at(phase);
        assert.deepEqual(input(machine), []);
        assert.equal(machine.phase, phase);
      });
    }
  }
});

describe('coming back', () => {
  test('takes longer each time, up to 30 s', () => {
    const machine = make(20);
    machine.connect(true, true);
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      machine.tokenReady(machine.generation);
      delays.push(delay(machine.closed(machine.generation, { code: 1006 }))!);
      machine.timer('retry', machine.generation);
    }
    assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  });

  test('begins anew after a stable connection, and not after a short one', () => {
    const machine = at('waiting');
    machine.timer('retry', machine.generation);
    machine.tokenReady(machine.generation);
    machine.ready(machine.generation);
    machine.closed(machine.generation, { code: 1006 });
    assert.equal(machine.attempts, 2);
    machine.timer('retry', machine.generation);
    machine.tokenReady(machine.generation);
    machine.ready(machine.generation);
    machine.timer('stable', machine.generation);
    assert.equal(machine.attempts, 0);
  });

  test('obeys goaway to the millisecond, and counts no failure', () => {
    const machine = at('connected');
    assert.equal(delay(machine.closed(machine.generation, { code: 4000, retryAfterMs: 1234 })), 1234);
    assert.equal(machine.attempts, 0);
    // Looking at the page is no reason to come earlier.
    assert.deepEqual(machine.wake(), []);
    assert.deepEqual(machine.online(), []);
  });

  test('waits at least as long as an error says', () => {
    const machine = at('connected');
    assert.equal(delay(machine.closed(machine.generation, { code: 4007, retryAfterMs: 7000 })), 7000);
    assert.equal(machine.attempts, 1);
  });

  test('ends after the allowed failures, and begins again by waking', () => {
    for (const revive of [(m: Machine) => m.wake(), (m: Machine) => m.online(), (m: Machine) => m.connect(true, true)]) {
      const machine = make(2);
      machine.connect(true, true);
      for (let i = 0; i < 3; i++) {
        machine.timer('retry', machine.generation);
        machine.tokenReady(machine.generation);
        machine.closed(machine.generation, { code: 1006 });
      }
      assert.equal(machine.phase, 'stopped');
      assert.equal(machine.reason, 'max_attempts');
      revive(machine);
      assert.equal(machine.phase, 'token');
      assert.equal(machine.attempts, 0);
    }
  });

  test('counts nothing while there is no network', () => {
    const machine = at('opening');
    machine.offline();
    machine.closed(machine.generation, { code: 1006 });
    assert.equal(machine.phase, 'offline');
    assert.equal(machine.attempts, 0);
  });

  test('is at once when the network is back or the page is looked at', () => {
    for (const input of ['online', 'wake'] as const) {
      const machine = at('waiting');
      assert.deepEqual(does(machine[input]()), ['timer', 'token']);
    }
  });

  test('stops trying when the network goes', () => {
    const machine = at('waiting');
    assert.deepEqual(does(machine.offline()), ['drop']);
    assert.equal(machine.phase, 'offline');
  });

  test('only asks a connection that is there whether it lives', () => {
    for (const input of ['online', 'offline', 'wake'] as const) {
      const machine = at('connected');
      assert.deepEqual(does(machine[input]()), ['probe']);
      assert.equal(machine.phase, 'connected');
    }
  });
});

describe('a refused token', () => {
  for (const code of [4004, 4500, 4507]) {
    test(`(${code}) is refreshed by force once, and ends it the second time`, () => {
      const machine = at('connected');
      const actions = machine.closed(machine.generation, { code });
      assert.deepEqual(actions.find(action => action.do === 'token'), { do: 'token', generation: machine.generation, force: true });
      machine.tokenReady(machine.generation);
      machine.closed(machine.generation, { code });
      assert.equal(machine.phase, 'stopped');
      assert.equal(machine.reason, 'unauthenticated');
    });
  }

  for (const ending of [{ code: 4501 }, { code: 0, status: 'PERMISSION_DENIED' }]) {
    const how = ending.code || ending.status;
    test(`before there is a connection is one that may not have the inbox, too (${how})`, () => {
      const machine = at('opening');
      const actions = machine.closed(machine.generation, { ...ending });
      assert.deepEqual(actions.find(action => action.do === 'token'), { do: 'token', generation: machine.generation, force: true });
      machine.tokenReady(machine.generation);
      machine.closed(machine.generation, { ...ending, why: 'none is allowed' });
      assert.equal(machine.reason, 'unauthenticated');
      assert.equal(machine.why, 'none is allowed');
    });
  }

  test('that is a text ends it at once', () => {
    const machine = at('connected', false);
    machine.closed(machine.generation, { code: 4500 });
    assert.equal(machine.reason, 'unauthenticated');
  });

  test('is forgiven after a stable connection', () => {
    const machine = at('connected');
    machine.closed(machine.generation, { code: 4004 });
    machine.tokenReady(machine.generation);
    machine.ready(machine.generation);
    machine.timer('stable', machine.generation);
    machine.closed(machine.generation, { code: 4004 });
    assert.equal(machine.phase, 'token');
  });

  test('is told by HTTP as by a code', () => {
    const machine = at('opening', false);
    machine.closed(machine.generation, { code: 0, status: 'UNAUTHENTICATED' });
    assert.equal(machine.reason, 'unauthenticated');
  });

  test('is followed by another one from outside', () => {
    const machine = at('connected', false);
    machine.closed(machine.generation, { code: 4500 });
    assert.deepEqual(machine.wake(), []);
    assert.deepEqual(does(machine.newToken(false)), ['timer', 'token']);
  });

  test('is not what a token that cannot be had just now is', () => {
    const machine = at('token');
    machine.tokenFailed(machine.generation, false);
    assert.equal(machine.phase, 'waiting');
  });

  test('and nobody signed in ends it', () => {
    const machine = at('token');
    machine.tokenFailed(machine.generation, true);
    assert.equal(machine.reason, 'unauthenticated');
  });
});

describe('what the server will not have again', () => {
  const reasons: [number, string][] = [
    [4501, 'permission_denied'], [4502, 'bad_frame'], [4503, 'limit'], [4504, 'feature_disabled'],
    [4505, 'disconnected'], [4506, 'superseded'], [4999, 'disconnected'],
  ];
  for (const [code, reason] of reasons) {
    test(`${code} ends it as ${reason}, and only connect() begins again, not another token`, () => {
      const machine = at('connected');
      machine.closed(machine.generation, { code });
      assert.equal(machine.phase, 'stopped');
      assert.equal(machine.reason, reason);
      assert.deepEqual([...machine.wake(), ...machine.online(), ...machine.newToken(true)], []);
      machine.connect(true, true);
      assert.equal(machine.phase, 'token');
    });
  }
});

test('disconnect ends every phase, and nothing old comes after it', () => {
  for (const phase of phases) {
    const machine = at(phase);
    const { generation } = machine;
    assert.deepEqual(does(machine.disconnect()), ['drop']);
    assert.equal(machine.phase, 'idle');
    assert.equal(machine.reason, 'client');
    assert.deepEqual(machine.closed(generation, { code: 1006 }), []);
    assert.deepEqual([...machine.online(), ...machine.wake()], []);
  }
});
