/// Goes once over bytes from outside and says whether they are one JSON text (RFC 8259), or where they stop being one.
///
/// Beyond the grammar it holds what the rest of us relies on: UTF-8 is well formed (RFC 3629), escaped surrogates come
/// in pairs (a lone one is no character, and clients disagree about it), nesting is at most ``Limits/jsonDepthMax``, and
/// no object of the outer two levels names a key twice (readers would disagree about which one counts). Runs on a
/// bit stack, not on the call stack, and allocates nothing unless an object has very many keys or the text is wrong.
struct JSONScanner {
  private let bytes: UnsafePointer<UInt8>
  private let end: Int
  private var at = 0
  /// Containers that are open.
  private var depth = 0
  /// One bit for each of them, the innermost lowest: 1 for an object.
  private var objects: UInt64 = 0
  private var keys: KeyTable
  /// Whether the string read last has escapes.
  private var sawEscape = false
  private(set) var failure: JSONError?
  /// Where the value lies, without the whitespace around it.
  private(set) var value = 0..<0

  /// `scratch` has at least ``KeyTable/scratchCount`` places and outlives the scanner.
  init(_ text: UnsafeBufferPointer<UInt8>, scratch: UnsafeMutableBufferPointer<KeyTable.Span>) {
    precondition(text.count > 0 && Limits.jsonDepthMax <= UInt64.bitWidth)
    bytes = text.baseAddress!
    end = text.count
    keys = KeyTable(bytes, scratch)
  }

  /// Whether the text is right; when not, ``failure`` says why.
  mutating func scan() -> Bool {
    skipWhitespace()
    let start = at
    guard scanValue() else { return false }
    value = start..<at
    skipWhitespace()
    return at == end || fail("something follows the value")
  }

  private mutating func scanValue() -> Bool {
    var expectsKey = false
    while true {
      if expectsKey {
        guard scanKey() else { return false }
        expectsKey = false
      }
      skipWhitespace()
      guard at < end else { return fail("the text ends where a value should be") }
      switch bytes[at] {
      case JSONBytes.quote:
        guard scanString() else { return false }
      case UInt8(ascii: "{"):
        guard open(object: true) else { return false }
        if at < end, bytes[at] == UInt8(ascii: "}") { break }
        expectsKey = true
        continue
      case UInt8(ascii: "["):
        guard open(object: false) else { return false }
        if at < end, bytes[at] == UInt8(ascii: "]") { break }
        continue
      case UInt8(ascii: "-"), 0x30...0x39:
        guard scanNumber() else { return false }
      case UInt8(ascii: "t"):
        guard scanLiteral("true") else { return false }
      case UInt8(ascii: "f"):
        guard scanLiteral("false") else { return false }
      case UInt8(ascii: "n"):
        guard scanLiteral("null") else { return false }
      default:
        return failHere("where a value should be")
      }
      // A value is complete: close what ends here, then go on behind the comma.
      while true {
        if depth == 0 { return true }
        skipWhitespace()
        guard at < end else { return fail("the text ends inside \(objects & 1 == 1 ? "an object" : "an array")") }
        let byte = bytes[at]
        if byte == UInt8(ascii: ",") {
          at += 1
          expectsKey = objects & 1 == 1
          break
        }
        guard byte == (objects & 1 == 1 ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
          return failHere("where a comma or the end of \(objects & 1 == 1 ? "the object" : "the array") should be")
        }
        at += 1
        depth -= 1
        objects >>= 1
      }
    }
  }

  /// Goes past the bracket and the whitespace behind it.
  private mutating func open(object: Bool) -> Bool {
    guard depth < Limits.jsonDepthMax else { return fail("nested deeper than \(Limits.jsonDepthMax)") }
    depth += 1
    objects = objects << 1 | (object ? 1 : 0)
    if object { keys.open(level: depth) }
    at += 1
    skipWhitespace()
    return true
  }

  private mutating func scanKey() -> Bool {
    skipWhitespace()
    guard at < end else { return fail("the text ends where a key should be") }
    guard bytes[at] == JSONBytes.quote else { return failHere("where a key should be") }
    let start = at + 1
    guard scanString() else { return false }
    let span = KeyTable.Span(start: start, count: at - 1 - start, escaped: sawEscape)
    guard keys.insert(span, level: depth) else { return fail("a key is there twice", at: start - 1) }
    skipWhitespace()
    guard at < end else { return fail("the text ends where a colon should be") }
    guard bytes[at] == UInt8(ascii: ":") else { return failHere("where a colon should be") }
    at += 1
    return true
  }

  @inline(__always) private mutating func skipWhitespace() {
    while at < end, JSONBytes.isWhitespace(bytes[at]) { at += 1 }
  }

  // MARK: Strings

  private mutating func scanString() -> Bool {
    let start = at
    sawEscape = false
    at += 1
    while true {
      while at + 8 <= end {
        let stops = JSONBytes.notPlain(JSONBytes.word(bytes + at))
        if stops == 0 {
          at += 8
        } else {
          at += stops.trailingZeroBitCount >> 3
          break
        }
      }
      guard at < end else { return fail("a string has no end", at: start) }
      let byte = bytes[at]
      if byte == JSONBytes.quote {
        at += 1
        return true
      }
      if byte == JSONBytes.backslash {
        sawEscape = true
        guard scanEscape() else { return false }
      } else if byte >= 0x80 {
        guard scanMultibyte() else { return fail("not UTF-8") }
      } else if byte < 0x20 {
        return fail("a control character inside a string is not escaped")
      } else {
        at += 1
      }
    }
  }

  private mutating func scanEscape() -> Bool {
    guard at + 1 < end else { return fail("the text ends inside an escape") }
    switch bytes[at + 1] {
    case JSONBytes.quote, JSONBytes.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      at += 2
      return true
    case UInt8(ascii: "u"):
      guard let unit = codeUnit(at) else { return fail("\\u without four hexadecimal digits") }
      switch unit {
      case 0xD800...0xDBFF:
        guard let low = codeUnit(at + 6), (0xDC00...0xDFFF).contains(low) else {
          return fail("the first half of a surrogate pair without its second")
        }
        at += 12
      case 0xDC00...0xDFFF:
        return fail("the second half of a surrogate pair without its first")
      default:
        at += 6
      }
      return true
    default:
      return fail("an unknown escape")
    }
  }

  /// The UTF-16 code unit written `\uXXXX` at `offset`.
  private func codeUnit(_ offset: Int) -> UInt32? {
    guard offset + 6 <= end, bytes[offset] == JSONBytes.backslash, bytes[offset + 1] == UInt8(ascii: "u") else {
      return nil
    }
    var unit: UInt32 = 0
    for place in 2..<6 {
      guard let digit = JSONBytes.hexadecimal(bytes[offset + place]) else { return nil }
      unit = unit << 4 | digit
    }
    return unit
  }

  /// Goes past one character of two to four bytes. The table is Unicode's "Well-Formed UTF-8 Byte Sequences" (3-7).
  private mutating func scanMultibyte() -> Bool {
    let lead = bytes[at]
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF1...0xF3: length = 4
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    default: return false
    }
    guard at + length <= end, second.contains(bytes[at + 1]) else { return false }
    if length > 2, bytes[at + 2] & 0xC0 != 0x80 { return false }
    if length > 3, bytes[at + 3] & 0xC0 != 0x80 { return false }
    at += length
    return true
  }

  // MARK: Numbers and words

  private mutating func scanNumber() -> Bool {
    if bytes[at] == UInt8(ascii: "-") { at += 1 }
    guard at < end, JSONBytes.isDigit(bytes[at]) else { return fail("a minus sign without a number") }
    if bytes[at] == UInt8(ascii: "0") {
      at += 1
      if at < end, JSONBytes.isDigit(bytes[at]) { return fail("a number begins with 0") }
    } else {
      skipDigits()
    }
    if at < end, bytes[at] == UInt8(ascii: ".") {
      at += 1
      guard at < end, JSONBytes.isDigit(bytes[at]) else { return fail("a decimal point without digits behind it") }
      skipDigits()
    }
    if at < end, bytes[at] | 0x20 == UInt8(ascii: "e") {
      at += 1
      if at < end, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
      guard at < end, JSONBytes.isDigit(bytes[at]) else { return fail("an exponent without digits") }
      skipDigits()
    }
    return true
  }

  @inline(__always) private mutating func skipDigits() {
    while at < end, JSONBytes.isDigit(bytes[at]) { at += 1 }
  }

  private mutating func scanLiteral(_ word: StaticString) -> Bool {
    for place in 0..<word.utf8CodeUnitCount {
      guard at + place < end, bytes[at + place] == word.utf8Start[place] else {
        return fail("a word that is neither true, false nor null")
      }
    }
    at += word.utf8CodeUnitCount
    return true
  }

  // MARK: Failure

  private mutating func failHere(_ expected: String) -> Bool {
    let byte = bytes[at]
    let name = (0x21...0x7E).contains(byte) ? "'\(Unicode.Scalar(byte))'" : "byte 0x" + String(byte, radix: 16)
    return fail("\(name) \(expected)")
  }

  private mutating func fail(_ message: String, at offset: Int? = nil) -> Bool {
    failure = JSONError(offset: offset ?? at, message: message)
    return false
  }
}
