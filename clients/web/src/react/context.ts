/** What is below a provider knows: the client, and for whom things are shown. */
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { RealtimeWebSocketClient } from '../client.js';
import type { RealtimeError } from '../errors.js';

export interface Provided {
  client: RealtimeWebSocketClient;
  /** As the provider says it; `undefined`: whoever the application has connected. */
  userId: string | null | undefined;
  /** What the provider's last attempt to connect ended with. */
  error: RealtimeError | null;
}

export const Context = createContext<Provided | null>(null);

export function useProvided(): Provided {
  const provided = useContext(Context);
  if (!provided) throw new Error('this hook needs a <RealtimeProvider> above');
  return provided;
}

/**
 * Whose things may be shown; `null` is nobody. It is the provider's word that counts, which a rendering has before the client is
 * told of it: what is painted in between is the new user's, too.
 */
export function useViewer(): string | null {
  const { client, userId } = useProvided();
  const connected = useSyncExternalStore(
    told => client.onStateChange(told), () => client.getConnectionInfo().userId, () => null);
  return userId === undefined ? connected : userId || null;
}
