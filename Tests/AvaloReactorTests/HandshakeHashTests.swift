import AvaloReactor
import CAvalo
import Testing

@Suite struct HandshakeHashTests {
  private func sha1(_ message: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 20)
    avalo_sha1(message, message.count, &digest)
    let digits = Array("0123456789abcdef")
    return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  /// FIPS 180-2 appendix A, RFC 3174 §7.3.
  @Test(arguments: [
    ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
    ),
    (String(repeating: "a", count: 1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
    (String(repeating: "01234567", count: 80), "dea356a2cddd90c7a7ecedc5ebb563934f460452"),
  ])
  func hashesTheVectorsOfTheStandard(message: String, digest: String) {
    #expect(sha1(Array(message.utf8)) == digest)
  }

  @Test func padsEveryLengthAroundABlockDifferently() {
    let digests = Set((50...130).map { sha1([UInt8](repeating: 0x61, count: $0)) })
    #expect(digests.count == 81)
    #expect(sha1([UInt8](repeating: 0x61, count: 55)) == "c1c8bbdc22796e28c0e15163d20899b65621d65a")
    #expect(sha1([UInt8](repeating: 0x61, count: 56)) == "c2db330f6083854c99d4b5bfb6e8f29f201be699")
    #expect(sha1([UInt8](repeating: 0x61, count: 64)) == "0098ba824b5c16427bd7a1122a5a442a25ec644d")
  }

  /// RFC 6455 §1.3.
  @Test func acceptsTheKeyOfTheStandard() {
    let response = UpgradeHead.acceptResponse(key: Array("dGhlIHNhbXBsZSBub25jZQ==".utf8), subprotocol: "avalo.v1")
    #expect(
      String(decoding: response, as: UTF8.self) == """
        HTTP/1.1 101 Switching Protocols\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
        Sec-WebSocket-Protocol: avalo.v1\r
        \r

        """)
  }
}
