/// The WebSocket handshake of every client (RFC 6455 §4.1), with the same key for all: nobody is to be kept from guessing it.
enum Handshake {
  static func request(authority: String) -> [UInt8] {
    Array(
      """
      GET /ws HTTP/1.1\r
      Host: \(authority)\r
      Upgrade: websocket\r
      Connection: Upgrade\r
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
      Sec-WebSocket-Version: 13\r
      Sec-WebSocket-Protocol: avalo.v1\r
      \r\n
      """.utf8)
  }

  /// - `answer`: its head.
  static func isAccepted(_ answer: UnsafeRawBufferPointer) -> Bool {
    Glance.find("HTTP/1.1 101", in: answer) != nil && Glance.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", in: answer) != nil
  }
}
