import AvaloTesting
import Testing

@testable import AvaloReactor

@Suite struct UpgradeHeadTests {
  private static let good = """
    GET /ws?ticket=a%20b HTTP/1.1\r
    Host: example.com\r
    Upgrade: websocket\r
    Connection: keep-alive, Upgrade\r
    Origin: https://example.com\r
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
    sec-websocket-version: 13\r
    Sec-WebSocket-Protocol: avalo.v1, avalo.token.abc\r
    Sec-WebSocket-Protocol: other\r
    Authorization: Bearer x.y.z\r
    X-Forwarded-For: 10.0.0.1\r
    X-Forwarded-For: 10.0.0.2\r
    \r

    """

  private func parse(_ text: String) -> UpgradeHead {
    Array(text.utf8).withUnsafeBytes { UpgradeHead.parse($0) }
  }

  private func fault(_ text: String) -> UpgradeHead.Fault? {
    if case .bad(let fault) = parse(text) { fault } else { nil }
  }

  private func isForeign(_ text: String) -> Bool {
    if case .foreign = parse(text) { true } else { false }
  }

  private func isIncomplete(_ text: String) -> Bool {
    if case .incomplete = parse(text) { true } else { false }
  }

  @Test func readsWhatAPolicyNeeds() throws {
    guard case .upgrade(let request, let key, let consumed) = parse(Self.good + "after") else {
      Issue.record("not an upgrade")
      return
    }
    #expect(
      request
        == UpgradeRequest(
          path: "/ws", query: "ticket=a%20b", origin: "https://example.com",
          protocols: ["avalo.v1", "avalo.token.abc", "other"], authorization: "Bearer x.y.z",
          forwardedFor: "10.0.0.1, 10.0.0.2"))
    #expect(key == Array("dGhlIHNhbXBsZSBub25jZQ==".utf8))
    #expect(consumed == Self.good.utf8.count)
  }

  @Test func waitsForTheEmptyLineWhereverTheBytesAreCut() {
    let bytes = Array(Self.good.utf8)
    for count in 0..<bytes.count {
      #expect(isIncomplete(String(decoding: bytes[..<count], as: UTF8.self)), "after \(count) bytes")
    }
  }

  @Test(arguments: [
    "POST /ws HTTP/1.1\r\n", "P", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /ws HTTP/1.0\r\n\r\n",
    "GET /ws HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "GET http://x/ws HTTP/1.1\r\n\r\n",
    "GET  HTTP/1.1\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n", "GET /\r\n\r\n", "\u{16}\u{3}\u{1}",
    "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
  ])
  func leavesEverythingElseToHTTP(head: String) {
    #expect(isForeign(head))
  }

  @Test func namesWhatIsWrongWithAHandshake() {
    #expect(fault(Self.good.replacing("sec-websocket-version: 13", with: "sec-websocket-version: 8")) == .version)
    #expect(fault(Self.good.replacing("sec-websocket-version: 13\r\n", with: "")) == .version)
    #expect(fault(Self.good.replacing("dGhlIHNhbXBsZSBub25jZQ==", with: "dGhlIHNhbXBsZSBub25jZQ")) == .key)
    #expect(fault(Self.good.replacing("dGhlIHNhbXBsZSBub25jZQ==", with: "dGhlIHNhbXBsZSBub25jZ***")) == .key)
    let twice = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    #expect(fault(Self.good.replacing(twice, with: twice + twice)) == .key)
    #expect(fault(Self.good.replacing("Host: example.com", with: "Host example.com")) == .malformed)
    #expect(fault(Self.good.replacing("Host: example.com\r\n", with: "")) == .host)
    #expect(fault(Self.good.replacing("Host: example.com", with: "Host: a\r\nHost: b")) == .host)
    for body in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
      #expect(fault(Self.good.replacing("Host: example.com", with: "Host: a\r\n" + body)) == .body)
    }
    #expect(fault(Self.good.replacing("Host: example.com", with: "Host: a\r\nContent-Length: 0")) == nil)
  }

  @Test func boundsTheHead() {
    let long = "GET /ws HTTP/1.1\r\nX: " + String(repeating: "x", count: Limits.headBytesMax)
    #expect(fault(long) == .tooLarge)
    #expect(fault(long + "\r\n\r\n") == .tooLarge)
    let many = String(repeating: "A: b\r\n", count: Limits.headLinesMax + 1)
    #expect(fault("GET /ws HTTP/1.1\r\n" + many + "\r\n") == .tooLarge)
    let offers = (0...Limits.subprotocolsMax).map { "p\($0)" }.joined(separator: ",")
    #expect(fault(Self.good.replacing("other", with: offers)) == .tooLarge)
  }

  @Test func survivesWhateverBytesCome() {
    var random = TestRandom(seed: 7)
    let good = Array(Self.good.utf8)
    var upgrades = 0
    for _ in 0..<20_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let at = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: at)
        default: bytes.insert(contentsOf: [13, 10, 58, 32, 44].shuffled(using: &random).prefix(2), at: at)
        }
      }
      if case .upgrade(_, let key, let consumed) = bytes.withUnsafeBytes({ UpgradeHead.parse($0) }) {
        upgrades += 1
        #expect(key.count == 24)
        #expect(consumed <= bytes.count)
      }
    }
    #expect(upgrades > 100, "the mutations left some heads whole")
  }
}
