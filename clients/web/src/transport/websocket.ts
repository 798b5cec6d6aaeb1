import { subscribeCall } from './subscribe.js';
import { type Opening, type OpenTransport, shuttable } from './transport.js';
import type { WebSocketLike } from '../environment.js';

/** A WebSocket: with a `connect` frame, or by a ticket where the Firebase SDK has the token. */
export const openWebSocket: OpenTransport = (opening, outer) => {
  const { environment, callable, token, request } = opening;
  const sink = shuttable(outer);
  let socket: WebSocketLike | undefined;

  function open(address: string, first?: unknown): void {
    socket = new environment.webSocket!(address, ['avalo.v1']);
    socket.onopen = () => first && socket!.send(JSON.stringify(first));
    socket.onmessage = ({ data }) => {
      sink.alive();
      let frame;
      try {
        frame = JSON.parse(data);
      } catch {
        sink.closed({ code: 1007 });
        return socket!.close();
      }
      sink.frame(frame);
    };
    // An error is always followed by a close.
    socket.onerror = () => {};
    socket.onclose = ({ code }) => sink.closed({ code });
  }

  if (callable) {
    void subscribeCall(opening, sink).then(answer => {
      if (answer && !sink.isShut) open(answer.wsUrl!);
    }).catch(() => sink.closed({ code: 0 }));
  } else {
    open(address(opening), { connect: { token, ...request } });
  }
  return {
    isDuplex: true,
    send: text => socket!.send(text),
    close: () => {
      sink.isShut = true;
      socket?.close(1000);
    },
  };
};

/** Where the server takes WebSockets, without a ticket. */
function address({ callable, url, wsUrl }: Opening): string {
  return callable ? wsUrl!.replace(/\?.*/, '') : `${url.replace(/^http/, 'ws')}/ws`;
}

/** Whether WebSockets pass: opens one, and closes it at once. @throws whatever a WebSocket throws at an address that is none */
export function webSocketPasses(opening: Opening, told: () => void): () => void {
  const socket = new opening.environment.webSocket!(address(opening), ['avalo.v1']);
  socket.onopen = () => {
    socket.close(1000);
    told();
  };
  socket.onerror = socket.onclose = () => {};
  return () => socket.close(1000);
}
