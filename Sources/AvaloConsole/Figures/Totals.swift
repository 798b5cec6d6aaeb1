/// What the counters of all workers have grown by since the console looks, over every restart of theirs.
struct Totals: Equatable, Sendable {
  var attempts = 0.0
  /// Of them those that failed through our fault.
  var attemptErrors = 0.0
  var calls = 0.0
  var callErrors = 0.0
  var published = 0.0
  var delivered = 0.0
  /// Live deliveries that took at most so many seconds, by that bound: cumulative, as a histogram's buckets are.
  var deliveries: [Double: Double] = [:]

  static func - (later: Totals, earlier: Totals) -> Totals {
    Totals(
      attempts: later.attempts - earlier.attempts, attemptErrors: later.attemptErrors - earlier.attemptErrors,
      calls: later.calls - earlier.calls, callErrors: later.callErrors - earlier.callErrors,
      published: later.published - earlier.published, delivered: later.delivered - earlier.delivered,
      deliveries: later.deliveries.reduce(into: [:]) { $0[$1.key] = $1.value - (earlier.deliveries[$1.key] ?? 0) })
  }

  /// The time that a share `q` of the live deliveries kept, in seconds; `nil` without any. Straight lines between the
  /// buckets' bounds, as Prometheus' `histogram_quantile` draws them.
  func deliverySeconds(quantile q: Double) -> Double? {
    let bounds = deliveries.keys.sorted()
    guard let last = bounds.last, let all = deliveries[last], all > 0 else { return nil }
    let rank = q * all
    var before = (bound: 0.0, count: 0.0)
    for bound in bounds {
      let count = deliveries[bound] ?? 0
      if count >= rank, count > before.count {
        guard bound.isFinite else { return before.bound }
        return before.bound + (bound - before.bound) * (rank - before.count) / (count - before.count)
      }
      before = (bound, count)
    }
    return before.bound
  }
}
