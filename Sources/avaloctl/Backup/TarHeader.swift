/// The head of one file in a tar archive (POSIX ustar, with GNU's numbers for files of 8 GiB and more): 512 bytes, which
/// the file's bytes follow, filled up to a multiple of 512. Source: tar(5).
struct TarHeader: Equatable {
  static let blockBytes = 512

  /// At most 100 bytes; no folder is ever needed for it.
  var name: String
  var bytes: Int64
  /// Seconds since 1970.
  var modified: Int64
  var mode: UInt32 = 0o600

  static let nameBytesMax = 100
  private static let octalMax: Int64 = 1 << 33

  var encoded: [UInt8] {
    var block = [UInt8](repeating: 0, count: TarHeader.blockBytes)
    func put(_ text: String, at offset: Int) {
      block.replaceSubrange(offset..<(offset + text.utf8.count), with: text.utf8)
    }
    put(name, at: 0)
    put(TarHeader.octal(Int64(mode), digits: 7), at: 100)
    put(TarHeader.octal(0, digits: 7), at: 108)
    put(TarHeader.octal(0, digits: 7), at: 116)
    if bytes < TarHeader.octalMax {
      put(TarHeader.octal(bytes, digits: 11), at: 124)
    } else {
      block[124] = 0x80
      for index in 0..<8 { block[128 + index] = UInt8(truncatingIfNeeded: bytes >> Int64(8 * (7 - index))) }
    }
    put(TarHeader.octal(modified, digits: 11), at: 136)
    block[156] = UInt8(ascii: "0")
    put("ustar", at: 257)
    put("00", at: 263)
    // The sum over the head with spaces in the sum's own place.
    put("        ", at: 148)
    let sum = block.reduce(0) { $0 + Int64($1) }
    put(TarHeader.octal(sum, digits: 6), at: 148)
    block[154] = 0
    return block
  }

  /// `nil` when the block is no head of an ordinary file, or was damaged.
  init?(_ block: [UInt8]) {
    guard block.count == TarHeader.blockBytes, block[257..<262].elementsEqual("ustar".utf8),
      block[156] == UInt8(ascii: "0") || block[156] == 0
    else { return nil }
    var sum: Int64 = 0
    for (index, byte) in block.enumerated() { sum += (148..<156).contains(index) ? 32 : Int64(byte) }
    guard TarHeader.number(block[148..<154]) == sum,
      let name = String(validating: block[..<TarHeader.nameBytesMax].prefix { $0 != 0 }, as: UTF8.self),
      let modified = TarHeader.number(block[136..<147]), let mode = TarHeader.number(block[100..<107])
    else { return nil }
    self.name = name
    self.modified = modified
    self.mode = UInt32(truncatingIfNeeded: mode)
    if block[124] == 0x80 {
      bytes = block[128..<136].reduce(0) { $0 << 8 | Int64($1) }
      guard bytes >= 0 else { return nil }
    } else {
      guard let bytes = TarHeader.number(block[124..<135]) else { return nil }
      self.bytes = bytes
    }
  }

  init(name: String, bytes: Int64, modified: Int64) {
    self.name = name
    self.bytes = bytes
    self.modified = modified
  }

  /// What a file of so many bytes is filled up with.
  static func padding(_ bytes: Int64) -> Int { Int((512 - bytes % 512) % 512) }

  private static func octal(_ value: Int64, digits: Int) -> String {
    let text = String(max(0, value), radix: 8)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
    let text = String(decoding: digits.prefix { $0 != 0 && $0 != 0x20 }, as: UTF8.self)
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }) else { return nil }
    return text.isEmpty ? 0 : Int64(text, radix: 8)
  }
}
