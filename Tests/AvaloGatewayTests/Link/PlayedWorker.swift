import AvaloCore
import AvaloLink
import AvaloWire
import Glibc
import Logging
import NIOCore

/// The other end of a gateway's link: what came and was not heard yet, and whatever the test says. `@unchecked`: what changes
/// is touched on the loop.
final class PlayedWorker: LinkDelegate, @unchecked Sendable {
  private let loop: any EventLoop
  private var server: LinkServer?
  private var link: Link?
  private let post: (links: AsyncStream<Void>.Continuation, frames: AsyncStream<Received>.Continuation)
  private var links: AsyncStream<Void>.Iterator
  private var frames: AsyncStream<Received>.Iterator
  private var confirmations: [UInt64] = []
  private var removals: [PartnershipsEnded] = []

  typealias Received = (kind: FrameKind, correlation: UInt32)

  init(path: String, on loop: any EventLoop, _ log: Logger) async throws {
    self.loop = loop
    let (links, newLink) = AsyncStream.makeStream(of: Void.self)
    let (frames, newFrame) = AsyncStream.makeStream(of: Received.self)
    self.links = links.makeAsyncIterator()
    self.frames = frames.makeAsyncIterator()
    post = (newLink, newFrame)
    let descriptor = try UnixListener.bound(to: path)
    try await loop.flatSubmit {
      let server = LinkServer(
        listening: descriptor, on: loop, welcome: { _ in .success(Welcome(generation: 1, credit: 100)) },
        delegate: self, log: log)
      self.server = server
      return server.start()
    }.get()
  }

  func stop() async throws { try await loop.submit { self.server?.stop() }.get() }

  /// Waits for the next link.
  func opened() async throws { await links.next() }
  /// The next frame.
  func next() async -> Received? { await frames.next() }
  var confirmed: [UInt64] {
    get async { (try? await loop.submit { self.confirmations }.get()) ?? [] }
  }
  /// Chats and users of whom it was told since the last time that they are no members.
  func takeRemovals() async throws -> [String] {
    try await loop.submit {
      defer { self.removals = [] }
      return self.removals.map { "\($0.chat) \($0.users.joined(separator: ","))" }
    }.get()
  }

  func send(_ build: (inout WireWriter) -> Void) async throws {
    var writer = WireWriter()
    build(&writer)
    let bytes = writer.bytes
    try await loop.submit { self.link?.send(bytes) }.get()
  }

  func cut() async throws { try await loop.submit { self.link?.close(reason: "the test says so") }.get() }

  func linkOpened(_ link: Link, welcome: Welcome?) {
    self.link = link
    post.links.yield()
  }
  func linkDrained(_ link: Link) {}
  func linkClosed(_ link: Link, reason: String) {}
  func link(_ link: Link, received frames: ByteBuffer) {
    link.walk(frames) { head, body in
      if head.kind == .accessConfirmed { self.confirmations.append(try AccessConfirmed(body: body).position) }
      if head.kind == .partnershipsEnded { self.removals.append(try PartnershipsEnded(body: body)) }
      self.post.frames.yield((head.kind, head.correlation))
    }
  }
}

private enum UnixListener {
  static func bound(to path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    precondition(path.utf8.count < MemoryLayout.size(ofValue: address.sun_path), "socket path \(path)")
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard descriptor >= 0, result == 0, listen(descriptor, 8) == 0 else {
      throw CallError(.internal, "cannot bind \(path)")
    }
    return descriptor
  }
}
