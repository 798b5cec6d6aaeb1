/// Makes ids in the order of time: a prefix, then a ULID in lower case: 48 bits of milliseconds, 80 of chance. Within
/// one millisecond, and while the clock stands still or jumps back, the next id is the last one and 1, so that a
/// generator's ids are sorted. That keeps the index they end up in compact.
struct EventIDs {
  private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
  private var milliseconds: UInt64 = 0
  private var high: UInt16 = 0
  private var low: UInt64 = 0

  /// - `now`: milliseconds since 1970.
  mutating func next(_ prefix: StaticString, now: Int64, using random: inout any RandomNumberGenerator) -> String {
    let now = UInt64(clamping: now) & (1 << 48 - 1)
    if now > milliseconds {
      milliseconds = now
      // The highest bit stays free, so that counting up does not run over.
      high = UInt16(truncatingIfNeeded: random.next()) & 0x7FFF
      low = random.next()
    } else {
      low &+= 1
      if low == 0 { high &+= 1 }
    }
    return String(unsafeUninitializedCapacity: prefix.utf8CodeUnitCount + 26) { out in
      var count = 0
      while count < prefix.utf8CodeUnitCount {
        out[count] = prefix.utf8Start[count]
        count += 1
      }
      // 50 bits of time in ten characters, then 16 + 64 of chance in sixteen, each from its highest bits on.
      for shift in stride(from: 45, through: 0, by: -5) {
        out[count] = EventIDs.alphabet[Int(milliseconds >> UInt64(shift) & 31)]
        count += 1
      }
      for shift in stride(from: 75, through: 0, by: -5) {
        let bits = shift >= 64 ? UInt64(high) >> UInt64(shift - 64) : low >> UInt64(shift) | spill(shift)
        out[count] = EventIDs.alphabet[Int(bits & 31)]
        count += 1
      }
      return count
    }
  }

  /// The bits of `high` that reach into the five that begin at `shift` of `low`.
  private func spill(_ shift: Int) -> UInt64 { shift > 59 ? UInt64(high) << UInt64(64 - shift) : 0 }
}
