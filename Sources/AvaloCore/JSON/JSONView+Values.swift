extension JSONView {
  /// A string's characters, its escapes resolved; `nil` when it is no string.
  public var string: String? {
    guard let inside else { return nil }
    return JSONView.unescaped(inside)
  }

  /// A string's UTF-8 where it lies; `nil` when it is no string or has escapes (then ``string`` it must be).
  public var utf8: UnsafeRawBufferPointer? {
    guard let inside, !JSONView.hasEscapes(inside) else { return nil }
    return UnsafeRawBufferPointer(inside)
  }

  /// Whether it is the string `text`. `text` is ASCII.
  public func matches(_ text: StaticString) -> Bool {
    guard let inside else { return false }
    let count = text.utf8CodeUnitCount
    if inside.count == count {
      var place = 0
      while place < count, inside[place] == text.utf8Start[place] { place += 1 }
      if place == count { return true }
    }
    // An escape is longer than what it stands for.
    guard inside.count > count, JSONView.hasEscapes(inside) else { return false }
    return JSONView.unescaped(inside) == text.description
  }

  /// A number's value, when it is a whole one that fits: `1000`, `1e3` and `1000.0` are the same.
  public var integer: Int64? {
    guard kind == .number else { return nil }
    let negative = raw[0] == UInt8(ascii: "-")
    // The digits up to the last that is not 0 make `mantissa`, `digits` of them; the point is behind digit `point`.
    var mantissa: UInt64 = 0
    var digits = 0
    var seen = 0
    var point: Int?
    var exponent = 0
    var at = negative ? 1 : 0
    while at < raw.count {
      let byte = raw[at]
      at += 1
      if byte == UInt8(ascii: ".") {
        point = seen
      } else if JSONBytes.isDigit(byte) {
        seen += 1
        guard byte != UInt8(ascii: "0") else { continue }
        guard JSONView.shift(&mantissa, by: mantissa == 0 ? 0 : seen - digits, adding: UInt64(byte - 0x30)) else {
          return nil
        }
        digits = seen
      } else {
        exponent = JSONView.exponent(UnsafeRawBufferPointer(rebasing: raw[at...]))
        break
      }
    }
    guard mantissa != 0 else { return 0 }
    let zeros = (point ?? seen) + exponent - digits
    guard zeros >= 0, JSONView.shift(&mantissa, by: zeros, adding: 0) else { return nil }
    if negative { return mantissa <= Int64.min.magnitude ? Int64(truncatingIfNeeded: 0 &- mantissa) : nil }
    return Int64(exactly: mantissa)
  }

  /// A number's nearest value; `nil` when it is no number or beyond what a double holds.
  public var double: Double? {
    guard kind == .number, let value = Double(String(decoding: raw, as: UTF8.self)), value.isFinite else { return nil }
    return value
  }

  /// `value · 10^places + digit`; false when it does not fit.
  private static func shift(_ value: inout UInt64, by places: Int, adding digit: UInt64) -> Bool {
    // Twenty places are beyond 64 bits; without the check a long exponent would cost time.
    guard places < 20 || value == 0 else { return false }
    var overflow = false
    if value != 0 {
      for _ in 0..<places where !overflow { (value, overflow) = value.multipliedReportingOverflow(by: 10) }
    }
    guard !overflow else { return false }
    (value, overflow) = value.addingReportingOverflow(digit)
    return !overflow
  }

  /// What stands behind the `e`, bounded: no text is long enough for more.
  private static func exponent(_ text: UnsafeRawBufferPointer) -> Int {
    var value = 0
    for byte in text where JSONBytes.isDigit(byte) { value = min(value * 10 + Int(byte - 0x30), 1 << 40) }
    return text[0] == UInt8(ascii: "-") ? -value : value
  }

  // MARK: Strings

  /// Between the quotes.
  private var inside: UnsafeBufferPointer<UInt8>? {
    guard raw[0] == JSONBytes.quote else { return nil }
    return UnsafeBufferPointer(
      start: raw.baseAddress!.assumingMemoryBound(to: UInt8.self) + 1, count: raw.count - 2)
  }

  private static func hasEscapes(_ inside: UnsafeBufferPointer<UInt8>) -> Bool { inside.contains(JSONBytes.backslash) }

  /// The characters a checked string's inside stands for.
  static func unescaped(_ inside: UnsafeBufferPointer<UInt8>) -> String {
    guard hasEscapes(inside) else { return String(decoding: inside, as: UTF8.self) }
    // Escapes only ever get shorter: `\u0080` is two bytes, a pair of twelve is four.
    return String(unsafeUninitializedCapacity: inside.count) { out in
      var at = 0
      var written = 0
      while at < inside.count {
        guard inside[at] == JSONBytes.backslash else {
          out[written] = inside[at]
          written += 1
          at += 1
          continue
        }
        guard inside[at + 1] == UInt8(ascii: "u") else {
          out[written] = control(inside[at + 1])
          written += 1
          at += 2
          continue
        }
        var value = unit(inside, at + 2)
        at += 6
        if (0xD800...0xDBFF).contains(value) {
          value = 0x10000 + (value - 0xD800) << 10 + (unit(inside, at + 2) - 0xDC00)
          at += 6
        }
        for byte in UTF8.encode(Unicode.Scalar(value)!)! {
          out[written] = byte
          written += 1
        }
      }
      return written
    }
  }

  private static func control(_ letter: UInt8) -> UInt8 {
    switch letter {
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0C
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    default: letter
    }
  }

  private static func unit(_ inside: UnsafeBufferPointer<UInt8>, _ offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 << 4 | JSONBytes.hexadecimal(inside[offset + $1])! }
  }
}
