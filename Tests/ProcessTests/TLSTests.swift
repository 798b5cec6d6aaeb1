import AvaloTesting
import Glibc
import NIOPosix
import NIOSSL
import Testing

/// Clients over TLS through the whole product, with a certificate that is renewed while they stay.
@Suite(.serialized, .enabled(if: Needs.tool("openssl"), "needs openssl")) struct TLSTests {
  @Test func deliversOverTLSAndRenewsTheCertificateWithoutDroppingAnyone() async throws {
    let folder = TestFolder()
    try await makeCertificate("first", in: folder)
    let server = try await RunningServer.start(
      document: """
        workers:
          gateway:
            sockets:
              client-tls: {listen: "127.0.0.1:0", per_instance: true, encrypted: true}
            settings:
              tls: {certificate: \(folder.path)/tls.crt, key: \(folder.path)/tls.key}
        """)
    let secure = try await SecurePort(server.process.address(of: "client-tls", worker: "gateway").port)
    let first = try secure.certificate()

    let ann = try secure.connect("ann", token: server.token("ann"))
    let backend = server.backend()
    _ = try await backend.call("publishRealtimeEvent", Load.event("one", to: "ann"))
    #expect(try ann.frame().text.contains(#""eventId":"one""#))

    try await makeCertificate("second", in: folder)
    server.process.process.signal(SIGHUP)
    try await waitUntil("new connections see the new certificate") { try secure.certificate() != first }
    _ = try await backend.call("publishRealtimeEvent", Load.event("two", to: "ann"))
    #expect(try ann.frame().text.contains(#""eventId":"two""#))

    // One that cannot be used changes nothing.
    let second = try secure.certificate()
    try folder.write("not a certificate", to: "tls.crt")
    server.process.process.signal(SIGHUP)
    try await server.process.process.waitForOutput("tls.crt: holds no certificates in PEM form")
    #expect(try secure.certificate() == second)
    let bob = try secure.connect("bob", token: server.token("bob"))
    for (name, probe) in [("ann", ann), ("bob", bob)] {
      _ = try await backend.call("publishRealtimeEvent", Load.event("three-\(name)", to: name))
      #expect(try probe.frame().text.contains(#""eventId":"three-\#(name)""#))
    }
    try await server.stop()
    #expect(try ann.frame().text.contains("goaway"))
  }

  @Test func answersCallsOverTLSWithAWebSocketURLToMatch() async throws {
    let folder = TestFolder()
    try await makeCertificate("only", in: folder)
    let server = try await RunningServer.start(
      document: """
        workers:
          gateway:
            sockets:
              client-tls: {listen: "127.0.0.1:0", per_instance: true, encrypted: true}
            settings:
              tls: {certificate: \(folder.path)/tls.crt, key: \(folder.path)/tls.key}
        """)
    let secure = try await SecurePort(server.process.address(of: "client-tls", worker: "gateway").port)
    let answer = try secure.post("/subscribeToRealtimeEventsV1", #"{"data":null}"#, token: server.token("ann"))
    let prefix = #""wsUrl":"wss://127.0.0.1:\#(secure.port)"#
    let start = try #require(answer.firstRange(of: prefix), "\(answer)").upperBound
    let target = String(answer[start...].prefix { $0 != "\"" })
    // The ticket is all that has to be said.
    let ann = try secure.upgrade(target)
    #expect(try ann.frame().text.hasPrefix(#"{"ready":"#))

    // A load balancer sends a handshake over a connection to us that carried calls before.
    let plain = try await server.process.address(of: "client", worker: "gateway").port
    for (user, isSecure) in [("bob", true), ("zoe", false)] {
      // One after the other: who says nothing for 10 s is sent away.
      let probe = isSecure ? try secure.dial() : try SocketProbe.connect(port: plain)
      for _ in 0..<2 {
        try probe.send(Array("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
        try #require(try probe.head().hasPrefix("HTTP/1.1 200 "))
        #expect(try probe.take(15) == Array(#"{"status":"ok"}"#.utf8))
      }
      try secure.upgrade("/ws", on: probe)
      try probe.send(text: #"{"connect":{"token":"\#(server.token(user))"}}"#)
      #expect(try probe.frame().text.hasPrefix(#"{"ready":"#), "\(user)")
      #expect(try probe.frame().text.hasPrefix(#"{"live":"#), "\(user)")
      _ = try await server.backend().call("publishRealtimeEvent", Load.event("for-\(user)", to: user))
      #expect(try probe.frame().text.contains(#""eventId":"for-\#(user)""#))
    }
    try await server.stop()
  }

  /// With openssl, as an operator would; `name` is what tells it from another.
  private func makeCertificate(_ name: String, in folder: TestFolder) async throws {
    let program = try #require(Needs.path(of: "openssl"))
    let openssl = try await TestProcess.start(
      program,
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=\(name)", "-keyout", "\(folder.path)/tls.key", "-out", "\(folder.path)/tls.crt",
      ])
    let ending = try await openssl.ending()
    try #require(ending == .exit(0), "\(openssl.output)")
  }
}

/// A port that speaks TLS, and clients of it that check no certificate.
private struct SecurePort {
  let port: Int
  private let context: NIOSSLContext

  init(_ port: Int) throws {
    self.port = port
    context = try TLSTunnel.clientContext()
  }

  func certificate() throws -> [UInt8] {
    try TLSTunnel.certificate(port: port, on: MultiThreadedEventLoopGroup.singleton, context: context)
  }

  /// A user's client that is live.
  func connect(_ user: String, token: String) throws -> SocketProbe {
    let probe = try upgrade("/ws")
    try probe.send(text: #"{"connect":{"token":"\#(token)"}}"#)
    #expect(try probe.frame().text.hasPrefix(#"{"ready":"#))
    #expect(try probe.frame().text.hasPrefix(#"{"live":"#))
    return probe
  }

  func upgrade(_ target: String) throws -> SocketProbe {
    let probe = try dial()
    try upgrade(target, on: probe)
    return probe
  }

  func upgrade(_ target: String, on probe: SocketProbe) throws {
    try probe.send(
      Array(
        """
        GET \(target) HTTP/1.1\r
        Host: 127.0.0.1:\(port)\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Protocol: avalo.v1\r
        \r\n
        """.utf8))
    let head = try probe.head()
    try #require(head.hasPrefix("HTTP/1.1 101 "), "\(head)")
  }

  func post(_ target: String, _ body: String, token: String) throws -> String {
    let probe = try dial()
    try probe.send(
      Array(
        """
        POST \(target) HTTP/1.1\r
        Host: 127.0.0.1:\(port)\r
        Authorization: Bearer \(token)\r
        Content-Type: application/json\r
        Content-Length: \(body.utf8.count)\r
        Connection: close\r
        \r
        \(body)
        """.utf8))
    var answer: [UInt8] = []
    do {
      while true { answer += try probe.take(1) }
    } catch SocketProbe.Failure.endOfStream {
      return String(decoding: answer, as: UTF8.self)
    }
  }

  func dial() throws -> SocketProbe {
    try TLSTunnel.connect(port: port, on: MultiThreadedEventLoopGroup.singleton, context: context)
  }
}
