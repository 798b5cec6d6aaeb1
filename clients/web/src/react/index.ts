/** React hooks, for React 18 and later. On a server they render what is there before a connection. */
import {
  createContext, createElement, type ReactNode, useContext, useEffect, useRef, useState, useSyncExternalStore,
} from 'react';
import type { RealtimeWebSocketClient } from '../client.js';
import type { ConnectionState, RealtimeEventMap } from '../types/client.js';
import type { PresencePayload } from '../types/events.js';
import type { TokenSource } from '../types/options.js';
import { Lease } from './lease.js';
import { TypingBook } from './typing.js';
import { UnreadBook } from './unread.js';

const Context = createContext<RealtimeWebSocketClient | null>(null);
const unread = new WeakMap<RealtimeWebSocketClient, UnreadBook>();
const leases = new WeakMap<RealtimeWebSocketClient, Lease>();

type AskForToken = Extract<TokenSource, Function>;

export interface RealtimeProviderProps {
  client: RealtimeWebSocketClient;
  /** Who is connected while this is mounted; without it the application connects by itself. */
  userId?: string | null;
  token?: TokenSource;
  children?: ReactNode;
}

/** Gives a client to what is below, and keeps it connected as `userId` while it is mounted. */
export function RealtimeProvider({ client, userId, token, children }: RealtimeProviderProps) {
  // The newest function gets tokens, and a new one on each rendering is no reason to connect anew.
  const latest = useLatest(token);
  const [ask] = useState(() => (request: { forceRefresh: boolean }) => (latest.current as AskForToken)(request));
  const source = typeof token === 'function' ? ask : token;
  useEffect(() => {
    // Before the first connection, which tells what is unread.
    unreadOf(client);
    if (!userId) return undefined;
    let lease = leases.get(client);
    if (!lease) leases.set(client, (lease = new Lease(() => client.disconnect())));
    const release = lease.take();
    // Its failure shows in the connection's state.
    client.connect(userId, source).catch(() => {});
    return release;
  }, [client, userId, source]);
  return createElement(Context.Provider, { value: client }, children);
}

export function useRealtimeClient(): RealtimeWebSocketClient {
  const client = useContext(Context);
  if (!client) throw new Error('useRealtimeClient needs a <RealtimeProvider> above');
  return client;
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
  const client = useRealtimeClient();
  return useSyncExternalStore(
    changed => client.onStateChange(changed), () => client.getState(), () => 'disconnected' as const);
}

/** How users are; one who is not told of yet is not there. */
export function usePresence(userIds: string[]): Record<string, PresencePayload> {
  const client = useRealtimeClient();
  const [known, setKnown] = useState<Record<string, PresencePayload>>({});
  const key = [...userIds].sort().join(' ');
  useEffect(() => {
    const users = key ? key.split(' ') : [];
    setKnown({});
    if (!users.length) return undefined;
    return client.watchPresence(users, ({ payload }) => setKnown(before => ({ ...before, [payload.userId]: payload })));
  }, [client, key]);
  return known;
}

/** Who types in a chat that is subscribed to, in the order they began. */
export function useTyping(chatId: string): readonly string[] {
  const client = useRealtimeClient();
  const [value, setValue] = useState(noOne);
  useEffect(() => {
    const book: TypingBook = new TypingBook(client, chatId, () => setValue(book.value));
    setValue(noOne);
    return () => book.close();
  }, [client, chatId]);
  return value;
}

/** Unread messages by chat. */
export function useUnread(): Readonly<Record<string, number>> {
  const client = useRealtimeClient();
  return useSyncExternalStore(
    changed => unreadOf(client).onChange(changed), () => unreadOf(client).value, () => nothing);
}

/** One for all who ask of a client, as only a new connection tells the counts. */
function unreadOf(client: RealtimeWebSocketClient): UnreadBook {
  let book = unread.get(client);
  if (!book) unread.set(client, (book = new UnreadBook(client)));
  return book;
}

const noOne: readonly string[] = [];
const nothing: Readonly<Record<string, number>> = {};

function useLatest<Value>(value: Value): { current: Value } {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}
