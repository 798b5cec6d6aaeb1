/// Durations and sizes as people write them.
public enum SettingsText {
  private static let durationUnits: [(name: String, nanoseconds: Int64)] = [
    ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
    ("ms", 1_000_000), ("us", 1000),
  ]
  private static let byteUnits: [(name: String, bytes: Int)] = [
    ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1),
    ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
  ]

  /// `250ms`, `10s`, `1h30m`, `0`; `nil` for anything else and for what does not fit 292 years.
  public static func duration(_ text: String) -> Duration? {
    if text == "0" { return .zero }
    var rest = text[...]
    var total: Int64 = 0
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let name = rest.prefix { !($0.isASCII && $0.isNumber) }
      rest = rest.dropFirst(name.count)
      guard let count = Int64(digits), let unit = durationUnits.first(where: { $0.name == name }) else { return nil }
      let (part, overflow) = count.multipliedReportingOverflow(by: unit.nanoseconds)
      let (sum, overflowSum) = total.addingReportingOverflow(part)
      guard !overflow, !overflowSum else { return nil }
      total = sum
    }
    return .nanoseconds(total)
  }

  /// In the largest unit that divides it: `90s`, `2h`, `250ms`.
  public static func duration(_ duration: Duration) -> String {
    let nanoseconds = duration.nanoseconds
    if nanoseconds == 0 { return "0s" }
    for unit in durationUnits where nanoseconds % unit.nanoseconds == 0 {
      return "\(nanoseconds / unit.nanoseconds)\(unit.name)"
    }
    return "\(nanoseconds)ns"
  }

  /// `512`, `64KiB`, `1 MiB`, `10MB`; `nil` for anything else.
  public static func bytes(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let name = text.dropFirst(digits.count).drop { $0 == " " }
    guard let count = Int(digits), let unit = byteUnits.first(where: { $0.name == name }) else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: unit.bytes)
    return overflow ? nil : bytes
  }

  /// In the largest binary unit that divides it: `64KiB`, `1000`.
  public static func bytes(_ count: Int) -> String {
    for unit in byteUnits.prefix(4) where count != 0 && count % unit.bytes == 0 {
      return "\(count / unit.bytes)\(unit.name)"
    }
    return "\(count)"
  }
}

/// Finds what was probably meant.
public enum EditDistance {
  /// The name with the fewest insertions, removals, replacements and swaps of neighbours from `word`; `nil` when none
  /// is near enough to be a slip.
  public static func nearest(to word: String, among names: some Sequence<String>) -> String? {
    var best: (name: String, distance: Int)?
    for name in names {
      let bound = max(1, min(word.utf8.count, name.utf8.count) / 3)
      let distance = between(Array(word.utf8), Array(name.utf8))
      if distance <= bound, distance < best?.distance ?? .max { best = (name, distance) }
    }
    return best?.name
  }

  /// Optimal string alignment (Damerau-Levenshtein with neighbours swapped once).
  static func between(_ a: [UInt8], _ b: [UInt8]) -> Int {
    // Longer words than any key of ours are no slips; the table stays small.
    guard a.count <= 128, b.count <= 128 else { return .max }
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var least = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, beforeLast[j - 1] + 1) }
        row.append(least)
      }
      beforeLast = last
      last = row
    }
    return last[b.count]
  }
}
