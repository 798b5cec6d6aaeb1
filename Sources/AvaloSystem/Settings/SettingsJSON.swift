extension SettingsNode {
  /// Reads one JSON document (RFC 8259), strictly, with the line of every value. A key that comes twice is an error.
  public init(json: [UInt8]) throws(SettingsProblem) {
    guard json.count <= SystemLimits.settingsBytesMax else {
      throw SettingsProblem(path: "", message: "the file is over \(SystemLimits.settingsBytesMax) bytes")
    }
    var parser = JSONParser(json)
    self = try parser.document()
  }

  /// JSON text of the value, without white space. Not-a-number and infinities, which JSON has none of, become null.
  public func json() -> [UInt8] {
    var out: [UInt8] = []
    write(to: &out)
    return out
  }

  private func write(to out: inout [UInt8]) {
    switch value {
    case .null: out.append(contentsOf: "null".utf8)
    case .boolean(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
    case .integer(let value): out.append(contentsOf: String(value).utf8)
    case .number(let value): out.append(contentsOf: (value.isFinite ? "\(value)" : "null").utf8)
    case .string(let value): SettingsNode.quote(value, to: &out)
    case .list(let items):
      out.append(UInt8(ascii: "["))
      for (index, item) in items.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        item.write(to: &out)
      }
      out.append(UInt8(ascii: "]"))
    case .section(let entries):
      out.append(UInt8(ascii: "{"))
      for (index, entry) in entries.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        SettingsNode.quote(entry.key, to: &out)
        out.append(UInt8(ascii: ":"))
        entry.node.write(to: &out)
      }
      out.append(UInt8(ascii: "}"))
    }
  }

  private static func quote(_ text: String, to out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(contentsOf: [UInt8(ascii: "\\"), byte])
      case 0..<0x20:
        let digits = String(byte, radix: 16)
        out.append(contentsOf: "\\u00\(digits.utf8.count == 1 ? "0" : "")\(digits)".utf8)
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}

/// A recursive descent over the bytes; depth is bounded, so the stack is.
private struct JSONParser {
  private let bytes: [UInt8]
  private var index = 0
  private var line = 1

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(SettingsProblem) -> SettingsNode {
    let node = try value(depth: 0)
    skipSpace()
    guard index == bytes.count else { throw problem("something follows the end of the document") }
    return node
  }

  private mutating func value(depth: Int) throws(SettingsProblem) -> SettingsNode {
    guard depth < SystemLimits.settingsDepthMax else {
      throw problem("more than \(SystemLimits.settingsDepthMax) levels within each other")
    }
    skipSpace()
    let start = line
    switch peek {
    case UInt8(ascii: "{"): return SettingsNode(.section(try section(depth: depth)), line: start)
    case UInt8(ascii: "["): return SettingsNode(.list(try list(depth: depth)), line: start)
    case UInt8(ascii: "\""): return SettingsNode(.string(try string()), line: start)
    case UInt8(ascii: "t"): return SettingsNode(try word("true", .boolean(true)), line: start)
    case UInt8(ascii: "f"): return SettingsNode(try word("false", .boolean(false)), line: start)
    case UInt8(ascii: "n"): return SettingsNode(try word("null", .null), line: start)
    case nil: throw problem("the document ends where a value was expected")
    case let byte? where byte == UInt8(ascii: "-") || isDigit(byte): return SettingsNode(try number(), line: start)
    case let byte?: throw problem("a value was expected, not \(shown(byte))")
    }
  }

  private mutating func section(depth: Int) throws(SettingsProblem) -> [SettingsNode.Entry] {
    var entries: [SettingsNode.Entry] = []
    var keys: Set<String> = []
    index += 1
    skipSpace()
    if take(UInt8(ascii: "}")) { return entries }
    while true {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw problem("a key in quotes was expected") }
      let keyLine = line
      let key = try string()
      guard keys.insert(key).inserted else { throw problem("the key \"\(key)\" comes twice") }
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw problem("\":\" was expected after \"\(key)\"") }
      entries.append(SettingsNode.Entry(key: key, line: keyLine, node: try value(depth: depth + 1)))
      skipSpace()
      if take(UInt8(ascii: "}")) { return entries }
      guard take(UInt8(ascii: ",")) else { throw problem("\",\" or \"}\" was expected") }
    }
  }

  private mutating func list(depth: Int) throws(SettingsProblem) -> [SettingsNode] {
    var items: [SettingsNode] = []
    index += 1
    skipSpace()
    if take(UInt8(ascii: "]")) { return items }
    while true {
      items.append(try value(depth: depth + 1))
      skipSpace()
      if take(UInt8(ascii: "]")) { return items }
      guard take(UInt8(ascii: ",")) else { throw problem("\",\" or \"]\" was expected") }
    }
  }

  private mutating func string() throws(SettingsProblem) -> String {
    index += 1
    var text: [UInt8] = []
    while let byte = peek {
      index += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw problem("text that is not UTF-8") }
        return string
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw problem("a control character within a text; write it as \\u00\(String(byte, radix: 16))")
      default: text.append(byte)
      }
    }
    throw problem("a text without an end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(SettingsProblem) {
    guard let byte = peek else { throw problem("a text without an end") }
    index += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = UInt32(try hexadecimal())
      if (0xD800..<0xDC00).contains(code) {
        guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw problem("half of a surrogate pair") }
        let low = UInt32(try hexadecimal())
        guard (0xDC00..<0xE000).contains(low) else { throw problem("half of a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw problem("half of a surrogate pair") }
      text.append(contentsOf: String(Character(scalar)).utf8)
    default: throw problem("no such escape: \\\(shown(byte))")
    }
  }

  private mutating func hexadecimal() throws(SettingsProblem) -> UInt16 {
    guard index + 4 <= bytes.count else { throw problem("a text without an end") }
    var code: UInt16 = 0
    for byte in bytes[index..<(index + 4)] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw problem("\\u takes four hex digits")
      }
      code = code << 4 | UInt16(digit)
    }
    index += 4
    return code
  }

  private mutating func number() throws(SettingsProblem) -> SettingsNode.Value {
    let start = index
    _ = take(UInt8(ascii: "-"))
    guard let first = peek, isDigit(first) else { throw problem("a digit was expected") }
    let digits = index
    skipDigits()
    guard first != UInt8(ascii: "0") || index == digits + 1 else { throw problem("a number with a leading zero") }
    var whole = true
    if take(UInt8(ascii: ".")) {
      whole = false
      guard let byte = peek, isDigit(byte) else { throw problem("a digit was expected") }
      skipDigits()
    }
    if let byte = peek, byte | 0x20 == UInt8(ascii: "e") {
      whole = false
      index += 1
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      guard let byte = peek, isDigit(byte) else { throw problem("a digit was expected") }
      skipDigits()
    }
    let text = String(decoding: bytes[start..<index], as: UTF8.self)
    if whole {
      guard let value = Int64(text) else { throw problem("the integer \(text) does not fit 64 bits") }
      return .integer(value)
    }
    guard let value = Double(text), value.isFinite else { throw problem("the number \(text) is out of range") }
    return .number(value)
  }

  private mutating func word(_ word: String, _ value: SettingsNode.Value) throws(SettingsProblem) -> SettingsNode.Value
  {
    guard bytes[index...].starts(with: word.utf8) else { throw problem("a value was expected; texts take quotes") }
    index += word.utf8.count
    return value
  }

  private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }
  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    index += 1
    return true
  }
  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      if byte == 0x0A { line += 1 }
      index += 1
    }
  }
  private mutating func skipDigits() { while let byte = peek, isDigit(byte) { index += 1 } }
  private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
  private func shown(_ byte: UInt8) -> String {
    (0x21..<0x7F).contains(byte) ? String(Character(Unicode.Scalar(byte))) : "byte 0x\(String(byte, radix: 16))"
  }
  private func problem(_ message: String) -> SettingsProblem {
    SettingsProblem(path: "", message: "not valid JSON: \(message)", line: line)
  }
}
