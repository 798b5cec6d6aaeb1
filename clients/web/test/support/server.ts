/** The server that the tests run against: a sandbox, which tells where it is by its environment. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const { env } = process;
export const url: string = env.AVALO_URL ?? '';
const binaries: string = env.AVALO_BINARIES ?? '';

function avaloctl(...args: string[]): string {
  return execFileSync(`${binaries}/avaloctl`, args, { encoding: 'utf8', env });
}

/** A user's token. */
export function token(user: string, options: { chats?: string[]; ttl?: string } = {}): string {
  const chats = options.chats ? ['--chats', options.chats.join(',')] : [];
  return avaloctl('token', '--user', user, '--ttl', options.ttl ?? '1h', ...chats).trim();
}

export function apiKey(): string {
  return readFileSync(`${env.AVALO_CONFIG_DIR}/dev-api-key`, 'utf8').trim();
}

/** Calls a function as a backend does. */
export async function call(name: string, data: unknown): Promise<any> {
  const response = await fetch(`${url}/${name}`, {
    method: 'POST', body: JSON.stringify({ data }),
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${apiKey()}` },
  });
  const answer: any = await response.json();
  if (answer.error) throw Object.assign(new Error(answer.error.message), { code: answer.error.status });
  return answer.result;
}

/** Publishes to a user's inbox, again and again until it is kept: the event's id sees to it that it is kept once. */
export async function publish(user: string, eventId: string, more: object = {}): Promise<void> {
  const event = { type: 'notification', targetUserId: user, eventId, payload: { eventId }, ...more };
  await eventually(`publishing ${eventId}`, () => call('publishRealtimeEvent', event).then(() => true, error => {
    // Who may not, or says nonsense, will not later.
    if (error.code === 'INVALID_ARGUMENT' || error.code === 'PERMISSION_DENIED') throw error;
    return false;
  }));
}

/** Processes of a worker that there are at the moment, by what avalod says of it. */
export function processes(worker: string): number[] {
  return avaloctl('status').split('\n').map(line => line.trim().split(/\s+/))
    .filter(words => words[0] === worker).map(words => Number(words[3])).filter(Number.isInteger);
}

/** Kills every instance of a worker at once, without a word. */
export function kill(worker: string): void {
  for (const pid of processes(worker)) process.kill(pid, 'SIGKILL');
}

/** Has avalod stop and start a worker, as an operator does, and waits until it serves again. */
export function restart(worker: string): void {
  avaloctl('restart', worker);
}

/** Waits until something is so. The deadline is for a machine that has much else to do. */
export async function eventually(what: string, body: () => unknown, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end;) {
    if (await body()) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${ms} ms: ${what}`);
}

/** Has avalod and its workers read their configuration again. */
export function reload(): void {
  avaloctl('reload');
}

let count = 0;
/** A user nobody has used before. */
export function newUser(): string {
  return `user${process.pid}-${++count}`;
}
