import AvaloReactor
import NIOCore
import NIOHTTP1

/// How a connection that carried requests becomes a WebSocket with a later one, as proxies and load balancers want it that
/// use their connections again. Made when a connection is given to HTTP, used on its loop.
///
/// HTTP has parsed the request, so that it is one for certain, and answers what came before it; then a ``Sniffer`` gets the
/// head and all behind it and decides, as it does at a connection's beginning.
struct LaterHandshake {
  let door: FrontDoor
  let isPlain: Bool
  let peer: PeerAddress

  /// The head in bytes, when it is the front door's to decide on; `nil` when HTTP answers it.
  func offer(_ head: HTTPRequestHead) -> ByteBuffer? {
    guard head.version == .http1_1 else { return nil }
    var text = "\(head.method.rawValue) \(head.uri) HTTP/1.1\r\n"
    for (name, value) in head.headers { text += "\(name): \(value)\r\n" }
    let bytes = ByteBuffer(string: text + "\r\n")
    switch bytes.withUnsafeReadableBytes({ UpgradeHead.parse($0) }) {
    case .upgrade(let request, _, _): return request.path == door.path ? bytes : nil
    case .bad: return bytes
    case .foreign, .incomplete: return nil
    }
  }

  /// Takes the connection out of HTTP. All that was answered has left; not within a read.
  func take(_ channel: any Channel, _ head: ByteBuffer) {
    let sniffer = Sniffer(door, isPlain: isPlain, peer, resuming: head)
    do {
      // As at the beginning: who says no more before it is decided is gone.
      try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
      try channel.pipeline.syncOperations.addHandler(sniffer)
    } catch {
      return channel.close(promise: nil)  // it is closed already
    }
    // The decoder goes a little later than the rest. What it has read behind the head it gives to the handler behind it.
    HTTPService.leave(channel).assumeIsolated().whenComplete { _ in
      // Fails when the channel has ended, and its pipeline with it.
      if let context = try? channel.pipeline.syncOperations.context(handler: sniffer) { sniffer.resume(context) }
    }
  }
}
