/// The last hour of every indicator, one point a look; the oldest goes when there are too many. Pure.
struct History: Sendable {
  struct Point: Sendable {
    /// Milliseconds since 1970, for people.
    var at: Int64
    /// Monotonic, for rates.
    var milliseconds: Int64
    /// `nil` when there was no page: avalod was away.
    var totals: Totals?
    /// What is known, by `Indicator.allCases`' order.
    var values: [Double?]
  }

  private(set) var points: [Point] = []
  private let most: Int

  init(most: Int = ConsoleLimits.samplesMax) { self.most = most }

  /// Adds what a page told.
  mutating func add(at: Int64, milliseconds: Int64, _ totals: Totals, _ page: MetricsPage) {
    let before = points.last { $0.totals != nil }
    let window = points.first { $0.totals != nil && milliseconds - $0.milliseconds <= ConsoleLimits.windowMilliseconds }
    let recent = window?.totals.map { totals - $0 } ?? Totals()
    func share(_ part: Double, of whole: Double) -> Double? { whole > 0 ? part / whole : nil }
    func rate(_ growth: KeyPath<Totals, Double>) -> Double? {
      guard let before, let old = before.totals else { return nil }
      return (totals[keyPath: growth] - old[keyPath: growth]) * 1000
        / Double(max(1, milliseconds - before.milliseconds))
    }
    let values = Indicator.allCases.map { indicator -> Double? in
      switch indicator {
      case .connectionErrors: share(recent.attemptErrors, of: recent.attempts)
      case .systemErrors: share(recent.callErrors, of: recent.calls)
      case .deliveryP99: recent.deliverySeconds(quantile: 0.99)
      case .deliveryP95: recent.deliverySeconds(quantile: 0.95)
      case .memory:
        page.sum("avalo_memory_limit_bytes").flatMap { limit in
          page.sum("avalo_memory_used_bytes").flatMap { share($0, of: limit) }
        }
      case .connections: page.sum("avalo_connections")
      case .published: rate(\.published)
      case .delivered: rate(\.delivered)
      }
    }
    append(Point(at: at, milliseconds: milliseconds, totals: totals, values: values))
  }

  /// Notes that nobody answered.
  mutating func addNothing(at: Int64, milliseconds: Int64) {
    append(Point(at: at, milliseconds: milliseconds, totals: nil, values: Indicator.allCases.map { _ in nil }))
  }

  private mutating func append(_ point: Point) {
    if points.count >= most { points.removeFirst(points.count - most + 1) }
    points.append(point)
  }
}
