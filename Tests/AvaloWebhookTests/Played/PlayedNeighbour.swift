import AvaloLink
import AvaloTesting
import AvaloWire
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The log, or presence, in the test's hands: keeps what comes over the link until the test asks for it, and says what
/// the test says. A link that is cut comes back by itself; what was not asked for of the one before is gone.
/// `@unchecked`: what is no `Mutex` is touched on the loop alone.
final class PlayedNeighbour: LinkDelegate, @unchecked Sendable {
  private struct Received {
    var kind: FrameKind
    var correlation: UInt32
    var body: [UInt8]
  }
  private let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
  private var server: LinkServer?
  private var link: Link?
  private let received = Mutex<[Received]>([])

  init(path: String) async throws {
    let descriptor = try WorkerProcess.listen(path)
    try await loop.flatSubmit {
      let server = LinkServer(
        listening: descriptor, on: self.loop, welcome: { _ in .success(Welcome(generation: 1, credit: 100)) },
        delegate: self, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      self.server = server
      return server.start()
    }.get()
  }

  func stop() async throws { try await loop.submit { self.server?.stop() }.get() }

  /// Waits until somebody has linked.
  func isLinked() async throws {
    _ = try await eventually("the link") { try await self.loop.submit { self.link == nil ? nil : true }.get() }
  }

  /// The oldest message of its kind that was not taken yet, and its correlation.
  func take<Message: WireMessage>(_: Message.Type) throws -> (message: Message, correlation: UInt32)? {
    let found = received.withLock { all in
      all.firstIndex { $0.kind == Message.kind }.map { all.remove(at: $0) }
    }
    return try found.map { one in (try one.body.withUnsafeBytes { try Message(body: $0) }, one.correlation) }
  }

  /// Takes it when it is there.
  func next<Message: WireMessage>(_: Message.Type) async throws -> (message: Message, correlation: UInt32) {
    try await eventually("\(Message.self)") { try take(Message.self) }
  }

  /// Says it all in one breath: nothing that the other side asks meanwhile comes in between.
  func say(_ build: @Sendable (inout WireWriter) -> Void) async throws {
    var writer = WireWriter()
    build(&writer)
    let bytes = writer.bytes
    try await loop.submit { self.link?.send(bytes) }.get()
  }

  func say(_ message: some WireMessage, correlation: UInt32 = 0) async throws {
    try await say { $0.frame(message, correlation: correlation) }
  }

  func cut() async throws { try await loop.submit { self.link?.close(reason: "the test says so") }.get() }

  // MARK: - LinkDelegate

  func linkOpened(_ link: Link, welcome: Welcome?) {
    self.link = link
    received.withLock { $0 = [] }
  }
  func linkDrained(_ link: Link) {}
  func linkClosed(_ link: Link, reason: String) {}
  func link(_ link: Link, received frames: ByteBuffer) {
    link.walk(frames) { head, body in
      let one = Received(kind: head.kind, correlation: head.correlation, body: Array(body))
      self.received.withLock { $0.append(one) }
    }
  }
}

/// Looks again and again until there is a value.
func eventually<Value>(_ what: String, _ value: () async throws -> Value?) async throws -> Value {
  let deadline = ContinuousClock.now + .seconds(30)
  while true {
    if let value = try await value() { return value }
    guard ContinuousClock.now < deadline else { throw NeverCame(what: what) }
    try await Task.sleep(for: .milliseconds(5))
  }
}

/// What a test waited for in vain.
struct NeverCame: Error {
  var what: String
}
