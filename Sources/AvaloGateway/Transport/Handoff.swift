import Glibc
import NIOCore

/// Takes a socket out of NIO, so that another loop can own it.
enum Handoff {
  /// A duplicate of the channel's descriptor; the channel itself is closed, of which nothing appears on the wire as long
  /// as the duplicate is open. To be called in `channelRead`, before NIO reads on. From here on the channel counts
  /// nowhere in NIO. `nil` when the connection is over, or the process has no descriptor left.
  static func take(_ context: ChannelHandlerContext) -> Int32? {
    guard context.channel.isActive else { return nil }
    var duplicate: Int32 = -1
    do {
      try context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
        duplicate = fcntl($0, F_DUPFD_CLOEXEC, 0)
      }
    } catch {
      return nil  // closed meanwhile
    }
    guard duplicate >= 0 else { return nil }
    context.close(promise: nil)
    return duplicate
  }

  /// Says no on a descriptor that was taken and that nobody wants, and closes it. The socket's buffer is empty: what
  /// does not fit at once is not worth waiting for.
  static func refuse(_ descriptor: Int32, _ response: PlainResponse) {
    let bytes = response.bytes
    _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) }
    close(descriptor)
  }
}
