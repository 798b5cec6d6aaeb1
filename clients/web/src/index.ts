/** The client of Avalo Realtime for browsers and mobile web views. */
export { RealtimeWebSocketClient } from './client.js';
export { RealtimeError, type ErrorCode } from './errors.js';
export * from './types/events.js';
export * from './types/client.js';
export * from './types/calls.js';
export type { CallableFactory, ClientOptions, TokenSource } from './types/options.js';
export type { Environment, PageEvent, StorageLike, WebSocketLike } from './environment.js';
