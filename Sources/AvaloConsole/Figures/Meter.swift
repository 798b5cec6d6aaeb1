/// Adds up what counters grow by from page to page. A counter that is below its last value began anew with its process;
/// one that is seen for the first time has grown by nothing yet, as for Prometheus. Pure.
struct Meter: Sendable {
  private struct Last {
    var value: Double
    var look: Int
  }

  static let series: Set<Substring> = [
    "avalo_connection_attempts_total", "avalo_calls_total", "avalo_events_published_total",
    "avalo_events_delivered_total", "avalo_event_delivery_seconds_bucket",
  ]
  private static let attemptErrors: Set<Substring> = ["error", "timeout", "shed"]
  private static let callErrors: Set<Substring> = [
    "INTERNAL", "UNAVAILABLE", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED",
  ]

  private(set) var totals = Totals()
  private var last: [Substring: Last] = [:]
  private var look = 0

  mutating func take(_ page: MetricsPage) {
    look += 1
    for sample in page.samples where Meter.series.contains(sample.name) && sample.value.isFinite {
      let known = last[sample.series]
      guard known != nil || last.count < ConsoleLimits.seriesMax else { continue }
      // A copy of its own: a slice would keep the whole page.
      last[known == nil ? Substring(String(sample.series)) : sample.series] = Last(value: sample.value, look: look)
      guard let known else { continue }
      add(sample.value >= known.value ? sample.value - known.value : sample.value, of: sample)
    }
    last = last.filter { look - $0.value.look < ConsoleLimits.seriesUnseenMax }
  }

  private mutating func add(_ growth: Double, of sample: MetricsPage.Sample) {
    guard growth > 0 else { return }
    switch sample.name {
    case "avalo_connection_attempts_total":
      totals.attempts += growth
      if let outcome = sample.label("outcome"), Meter.attemptErrors.contains(outcome) { totals.attemptErrors += growth }
    case "avalo_calls_total":
      totals.calls += growth
      if let code = sample.label("code"), Meter.callErrors.contains(code) { totals.callErrors += growth }
    case "avalo_events_published_total": totals.published += growth
    case "avalo_events_delivered_total": totals.delivered += growth
    default:
      guard sample.label("path") == "live", let bound = sample.label("le").flatMap({ Double($0) }) else { return }
      totals.deliveries[bound, default: 0] += growth
    }
  }
}
