/// Frames as a client sends them: masked (RFC 6455 §5.3) once, when they are prepared, and not again when they are sent.
enum ClientFrame {
  static let maximumHeader = 14

  /// A whole frame. The key need not be secret here: it protects proxies from browsers, not servers from load tools.
  static func make(opcode: UInt8 = ServerFrame.text, _ payload: some Collection<UInt8>, key: UInt32 = 0x5A3C_96E1)
    -> [UInt8]
  {
    var frame = [UInt8]()
    frame.reserveCapacity(payload.count + maximumHeader)
    frame.append(0x80 | opcode)
    switch payload.count {
    case ..<126: frame.append(0x80 | UInt8(payload.count))
    case ...0xFFFF:
      frame.append(0x80 | 126)
      withUnsafeBytes(of: UInt16(payload.count).bigEndian) { frame.append(contentsOf: $0) }
    default:
      frame.append(0x80 | 127)
      withUnsafeBytes(of: UInt64(payload.count).bigEndian) { frame.append(contentsOf: $0) }
    }
    let mask = withUnsafeBytes(of: key.bigEndian) { Array($0) }
    frame.append(contentsOf: mask)
    var place = 0
    for byte in payload {
      frame.append(byte ^ mask[place & 3])
      place += 1
    }
    return frame
  }

  static func text(_ json: String) -> [UInt8] { make(json.utf8) }
}
