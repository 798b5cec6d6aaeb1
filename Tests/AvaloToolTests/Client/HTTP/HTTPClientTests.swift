import AvaloCore
import Glibc
import NIOCore
import Synchronization
import Testing

@testable import AvaloClient

/// Time and cancellation: what of them is one request's own.
@Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
  /// A server that answers when the test says so.
  private final class Held: Sendable {
    let requests = Mailbox<(target: String, peer: TestPeer)>()

    func start() async throws -> TestServer {
      try await TestServer.start(isPipelined: true) { [self] peer, happening in
        if case .request(let request) = happening { requests.put((request.target, peer)) }
      }
    }
  }

  @Test func aRequestThatIsLateTakesNothingFromTheOthers() async throws {
    let held = Held()
    let server = try await held.start()
    let client = HTTPClient(server.endpoint)
    let late = Task { try await client.send(HTTPRequest("GET", "/late"), timeout: .milliseconds(300)) }
    let first = try await held.requests.next()
    // Behind it, on the same connection.
    let behind = Task { try await client.send(HTTPRequest("GET", "/behind"), timeout: .seconds(300)) }
    #expect(try await held.requests.next().target == "/behind")
    await #expect(throws: ClientError.timedOut("\(server.endpoint) did not answer /late in time")) {
      _ = try await late.value
    }
    // What comes now has a connection that answers.
    let next = Task { try await client.send(HTTPRequest("GET", "/next"), timeout: .seconds(300)) }
    let another = try await held.requests.next()
    #expect(another.target == "/next")
    #expect(another.peer.channel.remoteAddress != first.peer.channel.remoteAddress)
    another.peer.reply(200, "next")
    #expect(try await next.value.text == "next")
    first.peer.reply(200, "late")
    first.peer.reply(200, "behind")
    #expect(try await behind.value.text == "behind")
    // Nobody needs it any more.
    try await first.peer.channel.closeFuture.get()
    await client.close()
    try await server.stop()
  }

  @Test func aCancelledRequestReturnsAtOnceAndItsAnswerIsNobodyElses() async throws {
    let held = Held()
    let server = try await held.start()
    let client = HTTPClient(server.endpoint)
    let cancelled = Task { try await client.send(HTTPRequest("GET", "/cancelled"), timeout: .seconds(300)) }
    let first = try await held.requests.next()
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { _ = try await cancelled.value }
    let next = Task { try await client.send(HTTPRequest("GET", "/next"), timeout: .seconds(300)) }
    let second = try await held.requests.next()
    #expect(second.peer.channel.remoteAddress == first.peer.channel.remoteAddress)
    first.peer.reply(200, "cancelled")
    second.peer.reply(200, "next")
    #expect(try await next.value.text == "next")
    await client.close()
    try await server.stop()
  }

  @Test func theTimeForARequestHoldsForItsConnectionToo() async throws {
    let full = try FullListener()
    let client = HTTPClient(full.endpoint)
    let late = ClientError.unreachable("no connection to \(full.endpoint) in time")
    await #expect(throws: late) { _ = try await client.send(HTTPRequest("GET", "/"), timeout: .milliseconds(300)) }
    let cancelled = Task { try await client.send(HTTPRequest("GET", "/"), timeout: .seconds(300)) }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { _ = try await cancelled.value }
  }

  @Test func noTimeIsTooLong() async throws {
    let server = try await TestServer.start { peer, happening in
      if case .request = happening { peer.reply(200, #"{"result":1}"#) }
    }
    let client = CallableClient(server.endpoint)
    #expect(try await client.call("f", .emptyObject, timeout: .seconds(Int64.max)).description == "1")
    await client.close()
    try await server.stop()
    #expect(Duration.seconds(Int64.max).waitMilliseconds == 86_400_000)
    #expect(Duration.seconds(Int64.min).waitMilliseconds == 0)
    #expect(Duration.microseconds(1).waitMilliseconds == 1)
    #expect(Duration.milliseconds(1_500).waitMilliseconds == 1_500)
  }
}

/// Listens and takes nobody: whoever connects waits.
final class FullListener: Sendable {
  let endpoint: Endpoint
  private let sockets: [Int32]

  init() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    func withAddress(_ body: (UnsafeMutablePointer<sockaddr>) -> Int32) -> Int32 {
      withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
      }
    }
    guard withAddress({ bind(listener, $0, length) }) == 0, listen(listener, 0) == 0,
      withAddress({ getsockname(listener, $0, &length) }) == 0
    else { throw CancellationError() }
    var sockets = [listener]
    // The queue's length is the kernel's to say; these are more.
    for _ in 0..<8 {
      let guest = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      _ = withAddress { connect(guest, $0, length) }
      sockets.append(guest)
    }
    self.sockets = sockets
    endpoint = .tcp(host: "127.0.0.1", port: Int(UInt16(bigEndian: address.sin_port)))
  }

  deinit { for one in sockets { close(one) } }
}
