import AvaloSystem

/// So many a second of each of many keys, of which a second's worth may come at once (the generic cell rate algorithm, as
/// in ITU-T I.371). Pure. Of a key it knows one moment: when the key's whole allowance is there again. A key for which that has
/// passed is as good as one that was never seen, so what is kept are those of the last second.
struct RateTable<Key: Hashable> {
  private var wholeAt: [Key: MonotonicInstant] = [:]
  /// How many are kept before those are looked for that need not be.
  private var sweptAt = RateTable.kept

  /// Entries that are not worth looking through.
  private static var kept: Int { 1024 }

  var count: Int { wholeAt.count }

  /// Takes one of a key's allowance. `nil` when there was one; otherwise how long it is until there is.
  /// - `perSecond`: at least 1.
  mutating func take(_ key: Key, perSecond: Int, now: MonotonicInstant) -> Duration? {
    let each = Duration.nanoseconds(1_000_000_000 / Int64(perSecond))
    let whole = max(wholeAt[key] ?? now, now)
    let wait = (whole - now) + each - .seconds(1)
    guard wait <= .zero else { return wait }
    wholeAt[key] = whole + each
    if wholeAt.count > sweptAt { sweep(now) }
    return nil
  }

  /// Costs as much as the entries that came since the last time.
  private mutating func sweep(_ now: MonotonicInstant) {
    wholeAt = wholeAt.filter { $0.value > now }
    sweptAt = max(RateTable.kept, 2 * wholeAt.count)
  }
}
