import AvaloReactor
import AvaloTesting
import NIOCore
import Testing

@testable import AvaloGateway

@Suite(.serialized) struct ProxyHeaderTests {
  static let signature: [UInt8] = Array("\r\n\r\n\0\r\nQUIT\n".utf8)
  static let four = header(0x21, 0x11, [203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x67, 0, 80])
  static let six = header(
    0x21, 0x21, [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [9] + [UInt8](repeating: 0, count: 20))

  static func header(_ version: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    signature + [version, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
  }

  private func parse(_ bytes: [UInt8]) -> ProxyHeader { bytes.withUnsafeBytes { ProxyHeader.parse($0) } }

  @Test func namesTheClient() {
    #expect(parse(Self.four + [1, 2, 3]) == .header(source: "203.0.113.9", bytes: 28))
    #expect(parse(Self.six) == .header(source: "2001:db8::9", bytes: 52))
    // What follows the addresses (TLVs) is passed over.
    let more = Self.header(0x21, 0x11, [203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x67, 0, 80, 3, 0, 1, 7])
    #expect(parse(more) == .header(source: "203.0.113.9", bytes: 32))
  }

  @Test func namesNobodyWhenTheProxySpeaksForItself() {
    #expect(parse(Self.header(0x20, 0x00, [])) == .header(source: nil, bytes: 16))
    #expect(parse(Self.header(0x21, 0x00, [])) == .header(source: nil, bytes: 16))
    #expect(parse(Self.header(0x21, 0x31, [UInt8](repeating: 0, count: 216))) == .header(source: nil, bytes: 232))
  }

  @Test func waitsForTheRest() {
    for count in 0..<Self.four.count { #expect(parse(Array(Self.four[..<count])) == .incomplete, "\(count)") }
  }

  @Test func refusesWhatIsNone() {
    #expect(parse(Array("GET / HTTP/1.1\r\n".utf8)) == .absent)
    #expect(parse(Array("\r\n\r\nGET".utf8)) == .absent)
    #expect(parse(Self.header(0x11, 0x11, [UInt8](repeating: 0, count: 12))) == .bad)
    #expect(parse(Self.header(0x2F, 0x11, [UInt8](repeating: 0, count: 12))) == .bad)
    #expect(parse(Self.header(0x21, 0x11, [1, 2, 3])) == .bad)
    #expect(parse(Self.signature + [0x21, 0x11, 0xFF, 0xFF]) == .bad)
  }

  @Test func survivesEverything() {
    var random = TestRandom(seed: 0x9808)
    for _ in 0..<20_000 {
      var bytes = Bool.random(using: &random) ? Self.four : Self.six
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
      if case .header(_, let count) = parse(bytes) { #expect(count <= bytes.count) }
    }
  }

  // MARK: Over sockets

  private let trusted = TrustedProxies([AddressRange("127.0.0.1")!])

  @Test(arguments: [TransportKind.reactor, .nio])
  func isTakenOffTheFrontOfAConnection(kind: TransportKind) async throws {
    try await TransportRig.run(kind, proxies: trusted) { rig in
      for pieces in [[Self.four + TransportRig.request()], (Self.four + TransportRig.request()).map { [$0] }] {
        let probe = try rig.dial()
        for piece in pieces { try probe.send(piece) }
        #expect(try probe.head().hasPrefix("HTTP/1.1 101 "))
        try probe.send(text: "through")
        #expect(try probe.frame().text == "through")
        #expect(rig.requests.withLock { $0.last?.peerAddress } == "203.0.113.9")
      }
      // A proxy need not say anything.
      let silent = try rig.connect()
      try silent.send(text: "through")
      #expect(try silent.frame().text == "through")
      #expect(rig.requests.withLock { $0.last?.peerAddress } == "127.0.0.1")
      let broken = try rig.dial()
      try broken.send(Self.header(0x11, 0x11, []))
      try broken.expectEnd()
    }
  }

  @Test func isNotBelievedOfAnybody() async throws {
    try await TransportRig.run(.reactor, proxies: TrustedProxies([AddressRange("192.0.2.7")!])) { rig in
      let probe = try rig.dial()
      try probe.send(Self.four + TransportRig.request())
      // It is no HTTP either.
      #expect(try probe.head().hasPrefix("HTTP/1.1 400 "))
      #expect(rig.requests.withLock { $0 }.isEmpty)
    }
  }
}
