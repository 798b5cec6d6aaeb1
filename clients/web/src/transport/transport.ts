import type { Caller } from '../calls/http.js';
import type { Ending } from '../session/codes.js';
import type { ConnectRequest, ServerFrame } from '../types/frames.js';

/** One connection, whatever carries it. It begins when it is made, and ends once. */
export interface Transport {
  /** Whether it can be asked for a sign of life, and takes calls and acknowledgements. */
  readonly isDuplex: boolean;
  /** Only on a duplex one that is ready. */
  send(text: string): void;
  /** Ends it without another word to the sink. */
  close(): void;
}

export interface Opening extends Caller {
  /** Absent where the Firebase SDK adds it. */
  token: string | undefined;
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

/** A sink that hears nothing any more once it is shut, nor after its end. */
export function shuttable(sink: Sink): Sink & { isShut: boolean } {
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
