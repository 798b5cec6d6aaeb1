import AvaloReactor
import AvaloTesting
import NIOCore
import Synchronization
import Testing

@testable import AvaloGateway

@Suite(.serialized) struct SnifferTests {
  private func answer(_ probe: SocketProbe) throws -> String {
    let head = try probe.head()
    let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length: ") }
    let count = try #require(line.flatMap { Int($0.dropFirst(16)) })
    return head.prefix { $0 != "\r\n" } + "|" + String(decoding: try probe.take(count), as: UTF8.self)
  }

  @Test(arguments: TransportKind.allCases)
  func givesEverythingElseToHTTPFromItsFirstByte(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      let post = "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
      let get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
      let probe = try rig.dial()
      try probe.send(Array((get + post).utf8))
      #expect(try answer(probe) == "HTTP/1.1 200 OK|hello /a 0\n")
      #expect(try answer(probe) == "HTTP/1.1 200 OK|hello /publish 5\n")

      let slow = try rig.dial()
      for byte in (get + post).utf8 { try slow.send([byte]) }
      #expect(try answer(slow) == "HTTP/1.1 200 OK|hello /a 0\n")
      #expect(try answer(slow) == "HTTP/1.1 200 OK|hello /publish 5\n")

      let elsewhere = try rig.dial()
      try elsewhere.send(TransportRig.request("/other"))
      #expect(try elsewhere.head().hasPrefix("HTTP/1.1 200 OK\r\n"), "an upgrade to another path is HTTP's to refuse")
      #expect(rig.outcomes.withLock { $0 } == [])
    }
  }

  @Test(arguments: TransportKind.allCases)
  func saysWhatIsWrongWithAHandshake(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      func answer(to request: String) throws -> String {
        let probe = try rig.dial()
        try probe.send(Array(request.utf8))
        let head = try probe.head()
        return head
      }
      let good = String(decoding: TransportRig.request(), as: UTF8.self)
      let version = try answer(to: good.replacing("Version: 13", with: "Version: 8"))
      #expect(version.hasPrefix("HTTP/1.1 426 Upgrade Required\r\n"))
      #expect(version.contains("Sec-WebSocket-Version: 13\r\n"))
      let page = "Origin: https://app.example.com\r\n"
      let readable = try answer(
        to: good.replacing("Version: 13", with: "Version: 8").replacing("Host: x\r\n", with: "Host: x\r\n\(page)"))
      #expect(readable.contains("Vary: Origin\r\nAccess-Control-Allow-\(page)"))
      #expect(try answer(to: good.replacing("ZQ==", with: "ZQ")).hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
      let long = String(repeating: "x", count: 17_000)
      #expect(
        try answer(to: good.replacing("Host: x", with: "Host: " + long))
          .hasPrefix("HTTP/1.1 431 Request Header Fields Too Large\r\n"))
      #expect(rig.outcomes.withLock { $0 } == [.malformed, .malformed, .malformed, .malformed])
    }
  }

  /// What is unread when a socket is closed resets the connection, and takes the answer with it.
  @Test(arguments: TransportKind.allCases)
  func aRefusalIsNotLostInAReset(kind: TransportKind) async throws {
    try await TransportRig.run(kind) { rig in
      for _ in 0..<10 {
        let probe = try rig.dial()
        let head = String(decoding: TransportRig.request(), as: UTF8.self)
        try probe.send(Array(head.replacing("Host: x", with: "Host: " + String(repeating: "x", count: 60_000)).utf8))
        #expect(try self.answer(probe).hasPrefix("HTTP/1.1 431 Request Header Fields Too Large|"))
        try probe.expectEnd()
        let refused = try rig.dial()
        try refused.send(TransportRig.request("/ws?refuse") + [UInt8](repeating: 0x81, count: 20_000))
        #expect(try self.answer(refused) == "HTTP/1.1 403 Forbidden|no")
      }
    }
  }

  @Test(arguments: TransportKind.allCases)
  func cutsWhoNeverCompletesAHead(kind: TransportKind) async throws {
    try await TransportRig.run(kind, headTimeMax: .milliseconds(200)) { rig in
      let silent = try rig.dial()
      let slow = try rig.dial()
      try slow.send(Array("GET /ws HTTP/1.1\r\nHost:".utf8))
      try silent.expectEnd()
      try slow.expectEnd()
      let quick = try rig.connect()
      try quick.send(text: "unharmed")
      #expect(try quick.frame().text == "unharmed")
    }
  }

  /// A TLS handshake that never comes is bounded by the same time.
  @Test func cutsWhoNeverShakesHands() async throws {
    try await TransportRig.run(.nioTLS, headTimeMax: .milliseconds(200)) { rig in
      let silent = try SocketProbe.connect(port: rig.port)
      try silent.expectEnd()
      let nonsense = try SocketProbe.connect(port: rig.port)
      try nonsense.send(TransportRig.request())
      #expect(throws: (any Error).self) { while true { _ = try nonsense.take(1) } }
    }
  }
}
