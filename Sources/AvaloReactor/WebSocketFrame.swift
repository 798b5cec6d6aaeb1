import Glibc

/// The frames a server writes (RFC 6455 §5.2): unmasked, never fragmented.
enum WebSocketFrame {
  /// The length of the header in front of a payload of `count` bytes: 2, 4 or 10.
  static func headerBytes(_ count: Int) -> Int {
    count < 126 ? 2 : count <= 0xFFFF ? 4 : 10
  }

  /// A whole Close frame; the reason is cut to what fits.
  static func close(_ code: UInt16, reason: UnsafeRawBufferPointer) -> [UInt8] {
    let reason = reason.prefix(Limits.closeReasonBytesMax)
    return [0x80 | WebSocketOpcode.close.rawValue, UInt8(2 + reason.count), UInt8(code >> 8), UInt8(code & 0xFF)]
      + reason
  }

  static func writeHeader(_ opcode: WebSocketOpcode, _ count: Int, at start: UnsafeMutableRawPointer) -> Int {
    start.storeBytes(of: 0x80 | opcode.rawValue, as: UInt8.self)
    switch headerBytes(count) {
    case 2:
      start.storeBytes(of: UInt8(count), toByteOffset: 1, as: UInt8.self)
      return 2
    case 4:
      start.storeBytes(of: 126, toByteOffset: 1, as: UInt8.self)
      start.storeBytes(of: UInt16(count).bigEndian, toByteOffset: 2, as: UInt16.self)
      return 4
    default:
      start.storeBytes(of: 127, toByteOffset: 1, as: UInt8.self)
      start.storeBytes(of: UInt64(count).bigEndian, toByteOffset: 2, as: UInt64.self)
      return 10
    }
  }
}

/// RFC 6455 §5.2. The others are reserved.
enum WebSocketOpcode: UInt8 {
  case continuation = 0
  case text = 1
  case binary = 2
  case close = 8
  case ping = 9
  case pong = 10

  var isControl: Bool { rawValue >= 8 }
}

/// The codes this layer closes with by itself: RFC 6455 §7.4.1, and the client protocol's catalogue.
public enum CloseCode {
  public static let normal: UInt16 = 1000
  public static let protocolError: UInt16 = 1002
  public static let unsupportedData: UInt16 = 1003
  public static let notUTF8: UInt16 = 1007
  public static let tooLarge: UInt16 = 1009
  public static let slowConsumer: UInt16 = 4002
  public static let idle: UInt16 = 4003

  /// Whether a peer may send it (RFC 6455 §7.4 and the IANA registry): the reserved and the unassigned are a breach.
  static func isAllowedFromPeer(_ code: UInt16) -> Bool {
    switch code {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
  }
}
