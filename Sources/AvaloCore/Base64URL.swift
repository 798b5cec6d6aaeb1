/// Base64 with the URL alphabet and no padding, as JSON Web Tokens use it (RFC 4648 §5, RFC 7515 §2).
public enum Base64URL {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var out = [UInt8]()
    var bits: UInt32 = 0
    var held = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      held += 8
      while held >= 6 {
        held -= 6
        out.append(alphabet[Int(bits >> UInt32(held) & 63)])
      }
    }
    if held > 0 { out.append(alphabet[Int(bits << UInt32(6 - held) & 63)]) }
    return String(decoding: out, as: UTF8.self)
  }

  /// The bytes of a text; `nil` when it holds a foreign character (padding and white space are), has an impossible
  /// length, or sets bits that no byte takes: each run of bytes has exactly one text.
  public static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    guard text.count % 4 != 1 else { return nil }
    var bits: UInt32 = 0
    var held: UInt32 = 0
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: text.count * 3 / 4) { out, count in
      for character in text {
        let value = values[Int(character)]
        if value == 0xFF {
          failed = true
          return
        }
        bits = bits << 6 | UInt32(value)
        held += 6
        if held >= 8 {
          held -= 8
          out[count] = UInt8(truncatingIfNeeded: bits >> held)
          count += 1
        }
      }
    }
    guard !failed, bits & (1 << held - 1) == 0 else { return nil }
    return bytes
  }

  /// By character; 0xFF for what is none of the alphabet.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 0xFF, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }()
}
