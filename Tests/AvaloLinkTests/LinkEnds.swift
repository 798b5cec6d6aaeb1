import AvaloWire
import Glibc
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import AvaloLink

/// What the owner of a link was told.
enum Told: Equatable, Sendable {
  case opened(generation: UInt32?)
  /// Each frame as `kind bodyBytes`.
  case frames(from: String, [String])
  case drained
  case closed(String)
}

/// Runs `body` with a listening server and takes everything down afterwards.
func withEnds(_ bounds: LinkBounds = LinkBounds(), _ body: (Ends) async throws -> Void) async throws {
  let folder = try Folder()
  defer { folder.remove() }
  let ends = Ends(server: try await Server(path: folder.path + "/link", bounds: bounds), bounds: bounds)
  do {
    try await body(ends)
  } catch {
    await ends.stop()
    throw error
  }
  await ends.stop()
}

final class Ends: Sendable {
  let server: Server
  private let bounds: LinkBounds
  private let clients = NIOLockedValueBox<[Client]>([])

  init(server: Server, bounds: LinkBounds) {
    self.server = server
    self.bounds = bounds
  }
  func connect() async throws -> Client {
    let client = try await Client(path: server.path, bounds: bounds)
    clients.withLockedValue { $0.append(client) }
    return client
  }
  func rawPeer() async throws -> RawPeer { try RawPeer(path: server.path) }
  func stop() async {
    for client in clients.withLockedValue({ $0 }) { await client.stop() }
    await server.stop()
  }
}

/// One side under test: its loop, its owner, what the owner was told.
class Side: @unchecked Sendable {  // Everything that changes is touched on `loop` alone.
  let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
  let counters = LinkCounters()
  fileprivate let owner: Owner
  private let told: NIOLockedValueBox<AsyncStream<Told>.Iterator>

  init() {
    let (stream, continuation) = AsyncStream.makeStream(of: Told.self)
    owner = Owner(continuation)
    told = NIOLockedValueBox(stream.makeAsyncIterator())
  }

  func next() async -> Told? {
    // One reader at a time: the test itself.
    var iterator = told.withLockedValue { $0 }
    return await iterator.next()
  }
  /// The next frames, however many runs they come in.
  func nextFrames(_ count: Int, from instance: String? = nil) async -> [String] {
    var all: [String] = []
    while all.count < count {
      switch await next() {
      case .frames(let from, let frames): if instance == nil || from == instance { all += frames }
      case nil: return all
      case let other?: if instance == nil { return all + ["\(other)"] }
      }
    }
    return all
  }
  func send(_ write: @escaping @Sendable (inout WireWriter) -> Void) async {
    await onLoop { owner in
      var writer = WireWriter()
      write(&writer)
      owner.links.first?.send(writer.bytes)
    }
  }
  func sendSeparately(_ frame: [UInt8], times: Int) async {
    await onLoop { owner in for _ in 0..<times { owner.links.first?.send(frame) } }
  }
  var backlogBytes: Int { get async { await onLoop { $0.links.first?.backlogBytes ?? -1 } } }
  var peerInstances: [String] { get async { await onLoop { $0.links.compactMap { $0.peer?.instance } } } }

  fileprivate func onLoop<Value: Sendable>(_ body: @escaping @Sendable (Owner) -> Value) async -> Value {
    do {
      return try await loop.submit { body(self.owner) }.get()
    } catch {
      preconditionFailure("\(error)")
    }
  }
}

final class Server: Side, @unchecked Sendable {  // As Side.
  let path: String
  private var server: LinkServer?

  init(path: String, bounds: LinkBounds = LinkBounds()) async throws {
    self.path = path
    super.init()
    unlink(path)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try withUnixAddress(path) { try #require(bind(descriptor, $0, $1) == 0) }
    let started = try await loop.submit { [self] in
      let server = LinkServer(
        listening: descriptor, on: loop,
        welcome: { [owner] hello in
          guard owner.refusals == 0 else {
            owner.refusals -= 1
            return .failure(Failed(.unavailable, "not yet"))
          }
          return .success(Welcome(generation: 7, credit: 64))
        }, delegate: owner, bounds: bounds, counters: counters,
        log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      self.server = server
      return server.start()
    }.get()
    try await started.get()
  }

  func refuse(next count: Int) async { await onLoop { $0.refusals = count } }
  var refusalsLeft: Int { get async { await onLoop { $0.refusals } } }
  func decode<Message: WireMessage>(_: Message.Type) async {
    await onLoop { $0.check = { _ = try Message(body: $0) } }
  }
  func stop() async { await onLoop { [self] _ in server?.stop() } }
}

final class Client: Side, @unchecked Sendable {  // As Side.
  private var client: LinkClient?

  init(path: String, bounds: LinkBounds = LinkBounds()) async throws {
    super.init()
    try await loop.submit { [self] in
      let client = LinkClient(
        path: path, name: "scheduler", on: loop,
        hello: { Hello(role: "gateway", instance: "gateway.0", incarnation: 1) }, delegate: owner, bounds: bounds,
        counters: counters, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      self.client = client
      client.start()
    }.get()
  }
  func stop() async { await onLoop { [self] _ in client?.stop() } }
}

private final class Owner: LinkDelegate {
  private let continuation: AsyncStream<Told>.Continuation
  var links: [Link] = []
  var refusals = 0
  var check: (UnsafeRawBufferPointer) throws -> Void = { _ in }

  init(_ continuation: AsyncStream<Told>.Continuation) { self.continuation = continuation }

  func linkOpened(_ link: Link, welcome: Welcome?) {
    links.append(link)
    continuation.yield(.opened(generation: welcome?.generation))
  }
  func link(_ link: Link, received frames: ByteBuffer) {
    var seen: [String] = []
    link.walk(frames) { head, body in
      try check(body)
      seen.append("\(head.kind.rawValue) \(body.count)")
    }
    continuation.yield(.frames(from: link.name, seen))
  }
  func linkDrained(_ link: Link) { continuation.yield(.drained) }
  func linkClosed(_ link: Link, reason: String) {
    links.removeAll { $0 === link }
    continuation.yield(.closed(reason))
  }
}

/// Some frames to send and what arrives of them.
enum Publishes {
  static func frame(_ number: Int, payloadBytes: Int = 10) -> [UInt8] {
    var writer = WireWriter()
    writer.frame(FrameKind(rawValue: 0x8001), correlation: UInt32(number)) {
      $0.blob([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: payloadBytes))
    }
    return writer.bytes
  }
  static func write(count: Int, into writer: inout WireWriter) {
    for number in 0..<count {
      writer.frame(FrameKind(rawValue: 0x8001), correlation: UInt32(number)) {
        $0.blob([UInt8](repeating: 1, count: 10))
      }
    }
  }
  static func expected(_ count: Int) -> [String] { Array(repeating: "32769 14", count: count) }
}

enum Handshake {
  static func hello(version: UInt16 = Hello.currentVersion, instance: String = "gateway.9", trailing: [UInt8] = [])
    -> [UInt8]
  {
    var writer = WireWriter()
    writer.frame(.hello) {
      Hello(version: version, role: "gateway", instance: instance, incarnation: 3).encode(into: &$0)
      for byte in trailing { $0.integer(byte) }
    }
    return writer.bytes
  }
}

/// A bare socket. Its calls block a thread of their own, not one of the pool's.
final class RawPeer: Sendable {
  private let descriptor: Int32
  private static let threads = NIOThreadPool.singleton

  init(path: String) throws {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    self.descriptor = descriptor
    // A server that never answers fails the test, not the run.
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    try withUnixAddress(path) { try #require(connect(descriptor, $0, $1) == 0) }
  }
  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) async {
    _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }
  /// What one read gives; empty at the end.
  func receive() async -> [UInt8] {
    await blocking { [descriptor] in
      var chunk = [UInt8](repeating: 0, count: 1 << 20)
      let count = read(descriptor, &chunk, chunk.count)
      return Array(chunk.prefix(max(0, count)))
    }
  }
  @discardableResult
  func receiveToEnd() async -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let part = await receive()
      if part.isEmpty { return all }
      all += part
    }
  }
  private func blocking(_ body: @escaping @Sendable () -> [UInt8]) async -> [UInt8] {
    do {
      return try await RawPeer.threads.runIfActive(body)
    } catch {
      preconditionFailure("\(error)")
    }
  }
}

/// A folder of the test's own.
struct Folder: Sendable {
  let path: String
  init() throws {
    var template = Array("/tmp/avalo-link.XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
  }
  func remove() {
    unlink(path + "/link")
    rmdir(path)
  }
}

func withUnixAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void) rethrows {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  try withUnsafePointer(to: &address) {
    try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { try body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
  }
}
