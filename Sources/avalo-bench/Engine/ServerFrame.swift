/// A WebSocket frame as a server sends it (RFC 6455 §5.2), found where it lies.
struct ServerFrame {
  var opcode: UInt8
  /// Offset of the payload behind the start of the bytes looked at.
  var payloadStart: Int
  var payloadCount: Int
  var end: Int { payloadStart + payloadCount }

  static let text: UInt8 = 1
  static let close: UInt8 = 8
  static let ping: UInt8 = 9
  static let pong: UInt8 = 10

  enum Look {
    case frame(ServerFrame)
    /// The frame is not whole yet.
    case incomplete
    /// A masked, fragmented or reserved frame, or one beyond `payloadMax`: nothing the server may send here.
    case broken
  }

  /// Looks at the bytes from `start` on.
  @inline(__always) static func look(_ bytes: UnsafeRawPointer, from start: Int, to end: Int) -> Look {
    guard end - start >= 2 else { return .incomplete }
    let first = bytes.load(fromByteOffset: start, as: UInt8.self)
    let second = bytes.load(fromByteOffset: start + 1, as: UInt8.self)
    // FIN must be set, the reserved bits and the mask bit must not.
    guard first & 0xF0 == 0x80, second & 0x80 == 0 else { return .broken }
    var count = Int(second)
    var payload = start + 2
    if count == 126 {
      guard end - start >= 4 else { return .incomplete }
      count = Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self)))
      payload = start + 4
    } else if count == 127 {
      guard end - start >= 10 else { return .incomplete }
      let long = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 2, as: UInt64.self))
      guard long <= UInt64(Limits.framePayloadBytesMax) else { return .broken }
      count = Int(long)
      payload = start + 10
    }
    guard end - payload >= count else { return .incomplete }
    return .frame(ServerFrame(opcode: first & 0x0F, payloadStart: payload, payloadCount: count))
  }
}
