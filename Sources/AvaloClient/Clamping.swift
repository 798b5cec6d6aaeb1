// What callers and servers say may be any number: what is reckoned with it stops at a bound.

extension Int64 {
  /// The sum, or the nearest number there is.
  func clampedSum(_ other: Int64) -> Int64 {
    let (sum, isOver) = addingReportingOverflow(other)
    return isOver ? (other < 0 ? .min : .max) : sum
  }

  /// A thousand times as much, or the nearest number there is.
  var clampedThousandfold: Int64 {
    let (product, isOver) = multipliedReportingOverflow(by: 1_000)
    return isOver ? (self < 0 ? .min : .max) : product
  }
}

extension Duration {
  /// Whole milliseconds to wait, rounded up: 0 … ``ClientLimits/waitMax``.
  var waitMilliseconds: Int64 {
    guard self > .zero else { return 0 }
    guard self < .milliseconds(ClientLimits.waitMax) else { return ClientLimits.waitMax }
    let (seconds, attoseconds) = components
    return seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
  }
}
