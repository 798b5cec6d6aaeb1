/** React hooks, for React 18 and later. On a server they render what is there before a connection. */
import {
  createElement, type ReactNode, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore,
} from 'react';
import type { RealtimeWebSocketClient } from '../client.js';
import type { RealtimeError } from '../errors.js';
import { type ConnectionInfo, ConnectionState, type Denied, type RealtimeEventMap } from '../types/client.js';
import type { TokenSource } from '../types/options.js';
import { Context, useProvided, useViewer } from './context.js';
import { Lease } from './lease.js';
import { nobodyKnown, type Presence, PresenceBook } from './presence.js';
import { noneDenied, TopicBook } from './topics.js';
import { noOne, TypingBook } from './typing.js';
import { nothingUnread, type Unread, UnreadBook } from './unread.js';

export type { Presence } from './presence.js';
export type { Unread } from './unread.js';

type AskForToken = Extract<TokenSource, Function>;

export interface RealtimeProviderProps {
  client: RealtimeWebSocketClient;
  /**
   * Who is connected while this is mounted, and whose things are shown: `null` is nobody. Without it the application connects by
   * itself, and what is shown is of whoever it connects.
   */
  userId?: string | null;
  token?: TokenSource;
  children?: ReactNode;
}

/** Gives a client to what is below, and keeps it connected as `userId` while it is mounted. */
export function RealtimeProvider({ client, userId, token, children }: RealtimeProviderProps) {
  // The newest function gets tokens, and a new one on each rendering is no reason to connect anew.
  const latest = useLatest(token);
  const [ask] = useState(() => (request: { forceRefresh: boolean }) => (latest.current as AskForToken)(request));
  const tokens = typeof token === 'function' ? ask : token;
  const [error, setError] = useState<RealtimeError | null>(null);
  useEffect(() => {
    // Before the first connection, which tells what is unread and what is denied.
    unreadOf(client);
    topicsOf(client);
    if (!userId) return undefined;
    const release = leaseOf(client).take();
    let isOver = false;
    const stop = client.onStateChange(state => state !== ConnectionState.DISCONNECTED && setError(null));
    // Somebody who disconnects by hand knows of it.
    client.connect(userId, tokens).catch((thrown: RealtimeError) => !isOver && thrown.code !== 'CANCELLED' && setError(thrown));
    return () => {
      isOver = true;
      setError(null);
      stop();
      release();
    };
  }, [client, userId, tokens]);
  const provided = useMemo(() => ({ client, userId, error }), [client, userId, error]);
  return createElement(Context.Provider, { value: provided }, children);
}

export function useRealtimeClient(): RealtimeWebSocketClient {
  return useProvided().client;
}

/** Listens while it is mounted; the handler may be another one on each rendering. */
export function useRealtimeEvent<Name extends keyof RealtimeEventMap>(
  name: Name, handler: (event: RealtimeEventMap[Name]) => void,
): void {
  const client = useRealtimeClient();
  const latest = useLatest(handler);
  useEffect(() => client.on(name, event => latest.current(event)), [client, name, latest]);
}

export function useConnectionState(): ConnectionState {
  return useConnectionInfo().state;
}

/**
 * What `client.getConnectionInfo()` says, as of the last change of state, and what the provider's last attempt to connect ended
 * with, until the next one.
 */
export function useConnectionInfo(): ConnectionInfo & { error: RealtimeError | null } {
  const { client, userId, error } = useProvided();
  const info = useSyncExternalStore(
    useCallback(told => client.onStateChange(told), [client]), () => infoOf(client), () => atFirstOf(client));
  return useMemo(() => {
    // The client is told of a new user after the rendering: until then it is not connected as that one.
    const isTheirs = userId === undefined || info.userId === userId;
    return { ...(isTheirs ? info : unconnected(info, userId)), error };
  }, [info, userId, error]);
}

/**
 * Keeps topics subscribed to while it is mounted, wherever else that is as well: a topic ends with the last one who uses it. One
 * that the application itself subscribes to is not for this, as it would end, too.
 *
 * Over a stream or polls, which carry 32 topics, and polls no presence, those beyond are neither there nor denied.
 *
 * @returns those that are not allowed, and those that could not be had just now, such as with `UNAVAILABLE`, and are asked for again
 */
export function useTopic(topics: string | readonly string[]): readonly Denied[] {
  const client = useRealtimeClient();
  const viewer = useViewer();
  const key = keyOf(topics);
  const book = topicsOf(client);
  useEffect(() => {
    if (viewer === null) return undefined;
    const releases = listOf(key).map(topic => book.take(topic));
    return () => releases.forEach(release => release());
  }, [book, viewer, key]);
  // A text, as it has to be the same until something changes.
  const denied = useSyncExternalStore(
    useCallback(told => book.onChange(told), [book]),
    () => viewer === null ? '' : JSON.stringify(listOf(key).flatMap(topic => book.denied(topic, viewer) ?? [])), () => '');
  return useMemo(() => denied ? JSON.parse(denied) : noneDenied, [denied]);
}

/** How users are, as the user is told; one who is not told of yet is not there. */
export function usePresence(userIds: readonly string[]): Presence {
  const client = useRealtimeClient();
  const viewer = useViewer();
  const key = keyOf(userIds);
  const before = useRef<PresenceBook>();
  const book = useMemo(() => new PresenceBook(client, viewer, listOf(key), before.current), [client, viewer, key]);
  useEffect(() => void (before.current = book), [book]);
  return useSyncExternalStore(useCallback(told => book.watch(told), [book]), () => book.value, () => nobodyKnown);
}

/** Who types in a chat that is subscribed to, in the order they began. */
export function useTyping(chatId: string): readonly string[] {
  const client = useRealtimeClient();
  const viewer = useViewer();
  const book = useMemo(() => new TypingBook(client, viewer, chatId), [client, viewer, chatId]);
  return useSyncExternalStore(useCallback(told => book.watch(told), [book]), () => book.value, () => noOne);
}

/** The user's unread messages by chat. */
export function useUnread(): Unread {
  const book = unreadOf(useRealtimeClient());
  const viewer = useViewer();
  return useSyncExternalStore(useCallback(told => book.onChange(told), [book]), () => book.of(viewer), () => nothingUnread);
}

const leaseOf = perClient(client => new Lease(() => client.disconnect()));
/** One for all who ask of a client, as only a new connection tells the counts. */
const unreadOf = perClient(client => new UnreadBook(client));
const topicsOf = perClient(client => new TopicBook(client));
const atFirstOf = perClient(client => unconnected(client.getConnectionInfo(), null));

function perClient<Value>(make: (client: RealtimeWebSocketClient) => Value): (client: RealtimeWebSocketClient) => Value {
  const all = new WeakMap<RealtimeWebSocketClient, Value>();
  return client => {
    let value = all.get(client);
    if (value === undefined) all.set(client, (value = make(client)));
    return value;
  };
}

const infos = new WeakMap<RealtimeWebSocketClient, ConnectionInfo>();

/** The same object while the state is the same. */
function infoOf(client: RealtimeWebSocketClient): ConnectionInfo {
  const [last, now] = [infos.get(client), client.getConnectionInfo()];
  const what = ['state', 'userId', 'reason', 'connectionId'] as const;
  if (last && what.every(name => last[name] === now[name])) return last;
  infos.set(client, now);
  return now;
}

function unconnected(info: ConnectionInfo, userId: string | null): ConnectionInfo {
  return {
    ...info, userId, state: ConnectionState.DISCONNECTED, reason: 'client', connectionId: null, latency: null, reconnectAttempts: 0,
  };
}

/** The same for the same names in whichever list and order. */
function keyOf(names: string | readonly string[]): string {
  return JSON.stringify([...new Set([names].flat())].sort());
}

const listOf = (key: string): string[] => JSON.parse(key);

function useLatest<Value>(value: Value): { current: Value } {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}
