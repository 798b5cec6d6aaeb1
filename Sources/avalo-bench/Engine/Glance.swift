import CAvalo

/// Reads the few facts the load tool needs out of a server's JSON without parsing it: what kind of frame it is, an
/// event's offset, the time the publisher wrote into the payload.
///
/// It relies on how the server writes its frames (the kind's key first, the offset last) and says so when a frame does
/// not look like that, so that the caller can parse it.
enum Glance {
  enum Kind { case event, ready, live, gap, pong, goaway, error, answer, unknown }

  static func kind(_ json: UnsafeRawBufferPointer) -> Kind {
    guard json.count >= 6, json[0] == UInt8(ascii: "{"), json[1] == UInt8(ascii: "\"") else { return .unknown }
    switch (json[2], json[3]) {
    case (UInt8(ascii: "e"), UInt8(ascii: "v")): return .event
    case (UInt8(ascii: "e"), UInt8(ascii: "r")): return .error
    case (UInt8(ascii: "r"), _): return .ready
    case (UInt8(ascii: "l"), _): return .live
    case (UInt8(ascii: "g"), UInt8(ascii: "a")): return .gap
    case (UInt8(ascii: "g"), UInt8(ascii: "o")): return .goaway
    case (UInt8(ascii: "p"), _): return .pong
    case (UInt8(ascii: "i"), _): return .answer
    default: return .unknown
    }
  }

  /// The number at the very end of an event's frame, `…,"offset":18}`; `nil` when the frame ends otherwise.
  @inline(__always) static func trailingOffset(_ json: UnsafeRawBufferPointer) -> UInt64? {
    var at = json.count - 2
    guard at > 10, json[at + 1] == UInt8(ascii: "}") else { return nil }
    var value: UInt64 = 0
    var scale: UInt64 = 1
    while at > 10 {
      let digit = json[at] &- 0x30
      if digit > 9 { break }
      value &+= UInt64(digit) &* scale
      scale &*= 10
      at -= 1
    }
    // `"offset":` is nine bytes, of which the first eight are one word.
    guard scale > 1, json[at] == UInt8(ascii: ":") else { return nil }
    let word = json.loadUnaligned(fromByteOffset: at - 8, as: UInt64.self)
    return word == offsetKey ? value : nil
  }

  /// `"offset"` as it lies in memory.
  private static let offsetKey: UInt64 = {
    var word: UInt64 = 0
    withUnsafeMutableBytes(of: &word) { $0.copyBytes(from: "\"offset\"".utf8) }
    return word
  }()

  /// Where the bytes behind `needle` begin.
  static func find(_ needle: StaticString, in json: UnsafeRawBufferPointer) -> Int? {
    guard let start = json.baseAddress,
      let found = avalo_find(start, json.count, needle.utf8Start, needle.utf8CodeUnitCount)
    else { return nil }
    return found - start + needle.utf8CodeUnitCount
  }

  /// The same, of a needle that is made for a run.
  static func find(_ needle: [UInt8], in json: UnsafeRawBufferPointer) -> Int? {
    guard let start = json.baseAddress,
      let found = needle.withUnsafeBytes({ avalo_find(start, json.count, $0.baseAddress, $0.count) })
    else { return nil }
    return found - start + needle.count
  }

  /// The decimal number that stands at `start`; `nil` when none does.
  static func number(_ json: UnsafeRawBufferPointer, at start: Int, digitsMax: Int = 19) -> UInt64? {
    var at = start
    var value: UInt64 = 0
    while at < json.count, at - start < digitsMax {
      let digit = json[at] &- 0x30
      if digit > 9 { break }
      value = value &* 10 &+ UInt64(digit)
      at += 1
    }
    return at > start ? value : nil
  }

  /// The number behind `needle`.
  static func number(after needle: StaticString, in json: UnsafeRawBufferPointer) -> UInt64? {
    find(needle, in: json).flatMap { number(json, at: $0) }
  }
}
