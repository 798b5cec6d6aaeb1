import AvaloLink
import AvaloWire
import Logging
import NIOCore
import NIOPosix

/// A gateway's end of a link to a running scheduler. `@unchecked`: what changes is touched on its loop alone.
final class GatewayEnd: LinkDelegate, @unchecked Sendable {
  enum Event: Equatable, Sendable {
    case opened(generation: UInt32)
    case told(Told)
    case closed
  }

  private let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
  private let incarnation: UInt64
  private var client: LinkClient?
  private let post: AsyncStream<Event>.Continuation
  private var events: AsyncStream<Event>.Iterator

  init(incarnation: UInt64 = 1) {
    self.incarnation = incarnation
    let (stream, post) = AsyncStream.makeStream(of: Event.self)
    self.post = post
    events = stream.makeAsyncIterator()
  }

  /// Links, and answers the generation it was welcomed with.
  func link(to path: String) async throws -> UInt32? {
    try await loop.submit { [self] in
      client = LinkClient(
        path: path, name: "scheduler", on: loop,
        hello: { [incarnation] in
          Hello(role: "gateway", instance: "gateway.\(incarnation)", incarnation: incarnation)
        }, delegate: self, log: CoreBench.quiet)
      client?.start()
    }.get()
    guard case .opened(let generation)? = await next() else { return nil }
    // Every link begins with the state of access.
    while case .told(let told)? = await next() {
      if case .accessLive = told { return generation }
    }
    return nil
  }

  func next() async -> Event? { await events.next() }

  /// The next `count` frames.
  func told(_ count: Int = 1) async -> [Told] {
    var all: [Told] = []
    while all.count < count, case .told(let told)? = await next() { all.append(told) }
    return all
  }

  func send(_ write: @escaping @Sendable (inout WireWriter) -> Void) async throws {
    try await loop.submit { [self] in
      var writer = WireWriter()
      write(&writer)
      client?.link?.send(writer.bytes)
    }.get()
  }

  func stop() async throws { try await loop.submit { [self] in client?.stop() }.get() }

  func linkOpened(_ link: Link, welcome: Welcome?) { post.yield(.opened(generation: welcome?.generation ?? 0)) }
  func linkDrained(_ link: Link) {}
  func linkClosed(_ link: Link, reason: String) { post.yield(.closed) }
  func link(_ link: Link, received frames: ByteBuffer) {
    link.walk(frames) { head, body in self.post.yield(.told(try Told(head, body))) }
  }
}
