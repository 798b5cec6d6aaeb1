import type { Caller } from '../calls/http.js';
import type { Ending } from '../session/codes.js';
import type { ConnectRequest, ServerFrame } from '../types/frames.js';

/** One connection, whatever carries it. It begins when it is made, and ends once. */
export interface Transport {
  /** Whether it can be asked for a sign of life, and takes calls. */
  readonly isDuplex: boolean;
  /** Only on one that is ready; on one that is not duplex only acknowledgements. */
  send(text: string): void;
  /** The page may be going away: now is the last moment to acknowledge. */
  leave?(): unknown;
  /** Ends it without another word to the sink. */
  close(): void;
}

export interface Opening extends Caller {
  /** Absent where the Firebase SDK adds it. */
  readonly token: string | undefined;
  /** What the subscribe call said of WebSockets. */
  wsUrl?: string | undefined;
  request: ConnectRequest;
}

/** Where a transport tells what happens. */
export interface Sink {
  /** Something came in. */
  alive(): void;
  frame(frame: ServerFrame): void;
  closed(ending: Ending): void;
}

export type OpenTransport = (opening: Opening, sink: Sink) => Transport;

export type Shuttable = Sink & { isShut: boolean };

/** A sink that hears nothing any more once it is shut, nor after its end. */
export function shuttable(sink: Sink): Shuttable {
  const own = {
    isShut: false,
    alive: () => void (own.isShut || sink.alive()),
    frame: (frame: ServerFrame) => void (own.isShut || sink.frame(frame)),
    closed: (ending: Ending) => {
      if (own.isShut) return;
      own.isShut = true;
      sink.closed(ending);
    },
  };
  return own;
}
