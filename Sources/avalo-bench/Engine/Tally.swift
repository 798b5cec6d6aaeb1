/// Counts of things by what was said about them, the first sample of each kept: why clients failed, what was refused.
struct Tally {
  private(set) var counts: [(reason: String, count: Int)] = []
  private(set) var total = 0

  mutating func add(_ reason: @autoclosure () -> String) {
    total += 1
    let reason = reason()
    if let index = counts.firstIndex(where: { $0.reason == reason }) {
      counts[index].count += 1
    } else if counts.count < Limits.reasonsMax {
      counts.append((reason, 1))
    }
  }

  /// The most frequent first: `12 × refused: …`.
  var sentences: [String] {
    counts.sorted { $0.count > $1.count }.map { "\($0.count) × \($0.reason)" }
  }
}

extension String {
  /// On one line, for a reason that is printed in a list.
  func replacingLineEnds() -> String { String(map { $0.isNewline ? " " : $0 }) }
}
