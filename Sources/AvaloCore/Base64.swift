/// Base64 with the usual alphabet and padding (RFC 4648 §4).
public enum Base64 {
  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var text = Base64URL.encode(bytes).utf8.map { byte -> UInt8 in
      switch byte {
      case UInt8(ascii: "-"): UInt8(ascii: "+")
      case UInt8(ascii: "_"): UInt8(ascii: "/")
      default: byte
      }
    }
    while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of a text; `nil` when it is none. Padding may be left out.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "+"): bytes.append(UInt8(ascii: "-"))
      case UInt8(ascii: "/"): bytes.append(UInt8(ascii: "_"))
      case UInt8(ascii: "-"), UInt8(ascii: "_"): return nil
      default: bytes.append(byte)
      }
    }
    let padding = bytes.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    guard padding == 0 || (padding <= 2 && bytes.count % 4 == 0) else { return nil }
    return bytes.dropLast(padding).withUnsafeBytes { Base64URL.decode($0) }
  }
}
