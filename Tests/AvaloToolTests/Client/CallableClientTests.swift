import AvaloCore
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct CallableClientTests {
  @Test func sendsWhatTheProtocolAsksAndReadsTheResult() async throws {
    let seen = Mutex<HTTPRequest?>(nil)
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      seen.withLock { $0 = request }
      peer.reply(200, #"{"result":{"offset":17}}"#)
    }
    let client = CallableClient(server.endpoint, credential: "avk_x")
    let result = try await client.call("publishRealtimeEvent", JSONText(validating: #"{"type":"notification"}"#))
    #expect(result.read { $0["offset"]?.integer } == 17)
    let request = try #require(seen.withLock { $0 })
    #expect(request.method == "POST" && request.target == "/publishRealtimeEvent")
    #expect(String(decoding: request.body, as: UTF8.self) == #"{"data":{"type":"notification"}}"#)
    let headers = Dictionary(request.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { a, _ in a })
    #expect(headers["authorization"] == "Bearer avk_x")
    #expect(headers["content-type"] == "application/json")
    #expect(headers["host"] == "127.0.0.1:\(server.port)")
    await client.close()
    try await server.stop()
  }

  @Test func aRefusalKeepsItsCodeItsSentenceAndItsDelay() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request = happening else { return }
      peer.reply(
        503, #"{"error":{"status":"UNAVAILABLE","message":"retry with this eventId","details":{"retryAfterMs":250}}}"#)
    }
    let client = CallableClient(server.endpoint)
    let expected = CallError(.unavailable, "retry with this eventId", retryAfterMilliseconds: 250)
    await #expect(throws: ClientError.refused(expected)) { _ = try await client.call("f", .emptyObject) }
    await client.close()
    try await server.stop()
  }

  @Test func anAnswerThatIsNoneOfTheProtocolIsToldAsItIs() async throws {
    let server = try await TestServer.start { peer, happening in
      if case .request = happening { peer.reply(502, "<html>bad gateway</html>") }
    }
    let client = CallableClient(server.endpoint)
    let error = await #expect(throws: ClientError.self) { _ = try await client.call("f", .emptyObject) }
    #expect(error?.description.contains("502") == true && error?.description.contains("bad gateway") == true)
    await client.close()
    try await server.stop()
  }

  @Test func keepsItsConnectionAndMakesANewOneWhenTheServerEndedIt() async throws {
    let ports = Mutex<[Int?]>([])
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      ports.withLock { $0.append(peer.channel.remoteAddress?.port) }
      let last = request.target == "/last"
      peer.reply(200, #"{"result":null}"#, headers: last ? [("Connection", "close")] : [])
      if last { peer.drop() }
    }
    let client = CallableClient(server.endpoint)
    for name in ["first", "last", "third"] { _ = try await client.call(name, .emptyObject) }
    let seen = ports.withLock { $0 }
    #expect(seen[0] == seen[1])
    #expect(seen[1] != seen[2])
    await client.close()
    try await server.stop()
  }

  @Test func requestsAskedTogetherAreAnsweredInOrder() async throws {
    let server = try await TestServer.start { peer, happening in
      guard case .request(let request) = happening else { return }
      peer.reply(200, #"{"result":"\#(request.target)"}"#)
    }
    let client = CallableClient(server.endpoint)
    let answers = try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<50 {
        group.addTask { try await client.call("f\(number)", .emptyObject).description == "\"/f\(number)\"" }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.count == 50 && answers.allSatisfy { $0 })
    await client.close()
    try await server.stop()
  }

  @Test func silenceIsATimeoutAndTheNextCallHasAConnectionOfItsOwn() async throws {
    let server = try await TestServer.start { peer, happening in
      if case .request(let request) = happening, request.target != "/silent" { peer.reply(200, #"{"result":1}"#) }
    }
    let client = CallableClient(server.endpoint)
    let error = await #expect(throws: ClientError.self) {
      _ = try await client.call("silent", .emptyObject, timeout: .milliseconds(50))
    }
    guard case .timedOut = error else { return #expect(Bool(false), "\(String(describing: error))") }
    #expect(try await client.call("f", .emptyObject).description == "1")
    await client.close()
    try await server.stop()
  }

  @Test func speaksOverUnixSockets() async throws {
    let folder = "/tmp/avalo-tool-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    mkdir(folder, 0o700)
    defer { rmdir(folder) }
    let path = folder + "/control.sock"
    let server = try await TestServer.start(unixPath: path) { peer, happening in
      if case .request = happening { peer.reply(200, "{}") }
    }
    let client = HTTPClient(.unix(path: path))
    let reply = try await client.send(HTTPRequest("GET", "/status"))
    #expect(reply.status == 200 && reply.text == "{}")
    await client.close()
    try await server.stop()
    unlink(path)
  }

  @Test func aConnectionThatEndedBeforeTheRequestIsTold() async throws {
    let server = try await TestServer.start { _, _ in }
    let client = HTTPClient(server.endpoint)
    let channel = try await HTTPClient.connect(
      server.endpoint, TransportSecurity(), MultiThreadedEventLoopGroup.singleton
    ).get()
    try await channel.close()
    let reply = try await client.exchange(
      HTTPRequest("GET", "/status"), on: channel, until: .now() + .seconds(30))
    #expect(reply == nil)
    try await server.stop()
  }
}
