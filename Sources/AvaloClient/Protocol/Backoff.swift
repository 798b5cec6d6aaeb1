/// How long to wait before the next attempt: doubling, with a random part so that a crowd spreads. A pure value.
public struct Backoff: Sendable {
  private let range: ClosedRange<Int>
  private var failures = 0

  /// First and longest delay, in milliseconds.
  public init(_ range: ClosedRange<Int> = ClientLimits.backoffMilliseconds) { self.range = range }

  /// The delay after one more failure, in milliseconds: half of it sure, half of it drawn.
  public mutating func next(using generator: inout some RandomNumberGenerator) -> Int {
    let shift = min(failures, 20)
    failures += 1
    let full = min(range.upperBound, range.lowerBound << shift)
    return full / 2 + Int.random(in: 0...(full - full / 2), using: &generator)
  }

  /// An attempt succeeded.
  public mutating func reset() { failures = 0 }
}
