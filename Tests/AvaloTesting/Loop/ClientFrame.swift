/// A frame as a client writes it (RFC 6455 §5.2), good or bad.
public struct ClientFrame: Sendable {
  public enum Opcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10
  }

  public var firstByte: UInt8
  public var payload: [UInt8]
  /// Absent: not masked, which a client must not do.
  public var mask: [UInt8]?

  public init(_ opcode: Opcode, _ payload: [UInt8] = [], isFinal: Bool = true, mask: [UInt8]? = [1, 2, 3, 4]) {
    firstByte = (isFinal ? 0x80 : 0) | opcode.rawValue
    self.payload = payload
    self.mask = mask
  }

  public static func text(_ text: String) -> ClientFrame {
    ClientFrame(.text, Array(text.utf8), mask: [0x37, 0xFA, 0x21, 0x3D])
  }

  public static func close(_ code: UInt16, _ reason: String = "") -> ClientFrame {
    ClientFrame(.close, [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8))
  }

  public var bytes: [UInt8] {
    var bytes = [firstByte]
    let masked: UInt8 = mask == nil ? 0 : 0x80
    switch payload.count {
    case ..<126: bytes.append(masked | UInt8(payload.count))
    case ...0xFFFF: bytes += [masked | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
    default: bytes += [masked | 127] + (0..<8).reversed().map { UInt8(payload.count >> ($0 * 8) & 0xFF) }
    }
    guard let mask else { return bytes + payload }
    return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
  }
}
