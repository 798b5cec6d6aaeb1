import Testing

@testable import AvaloConsole

@Suite struct MeterTests {
  private func page(_ lines: String...) -> MetricsPage {
    MetricsPage(Array(lines.joined(separator: "\n").utf8), of: Meter.series)
  }

  @Test func whatIsSeenFirstHasGrownByNothing() {
    var meter = Meter()
    meter.take(page(#"avalo_calls_total{code="OK",slot="0"} 100"#))
    #expect(meter.totals.calls == 0)
    meter.take(page(#"avalo_calls_total{code="OK",slot="0"} 103"#, #"avalo_calls_total{code="OK",slot="1"} 50"#))
    #expect(meter.totals.calls == 3)
  }

  @Test func aCounterThatBeganAnewGoesOn() {
    var meter = Meter()
    for value in [100, 110, 4, 5] { meter.take(page(#"avalo_calls_total{code="OK"} \#(value)"#)) }
    #expect(meter.totals.calls == 10 + 4 + 1)
  }

  @Test func aWorkerThatWasNotOnOnePageGoesOnFromWhereItWas() {
    var meter = Meter()
    meter.take(page(#"avalo_events_published_total{slot="0"} 5"#))
    meter.take(page())
    meter.take(page(#"avalo_events_published_total{slot="0"} 9"#))
    #expect(meter.totals.published == 4)
    for _ in 0...ConsoleLimits.seriesUnseenMax { meter.take(page()) }
    meter.take(page(#"avalo_events_published_total{slot="0"} 99"#))
    #expect(meter.totals.published == 4, "it was forgotten")
  }

  @Test func tellsOurFaultsFromTheRest() {
    var meter = Meter()
    let attempts = ["success", "unauthenticated", "error", "timeout", "shed"]
    let codes = [
      "OK", "INVALID_ARGUMENT", "INTERNAL", "UNAVAILABLE", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED",
    ]
    func page(_ value: Int) -> MetricsPage {
      let lines =
        attempts.map { #"avalo_connection_attempts_total{outcome="\#($0)"} \#(value)"# }
        + codes.map { #"avalo_calls_total{function="f",code="\#($0)"} \#(value)"# }
      return MetricsPage(Array(lines.joined(separator: "\n").utf8), of: Meter.series)
    }
    meter.take(page(0))
    meter.take(page(2))
    #expect(meter.totals.attempts == 10 && meter.totals.attemptErrors == 6)
    #expect(meter.totals.calls == 14 && meter.totals.callErrors == 10)
  }

  @Test func countsLiveDeliveriesByTheirTime() {
    var meter = Meter()
    func page(_ live: Int, _ replay: Int) -> MetricsPage {
      self.page(
        #"avalo_event_delivery_seconds_bucket{path="live",transport="ws",le="0.1"} \#(live)"#,
        #"avalo_event_delivery_seconds_bucket{path="live",transport="sse",le="0.1"} \#(live)"#,
        #"avalo_event_delivery_seconds_bucket{path="live",transport="ws",le="+Inf"} \#(live)"#,
        #"avalo_event_delivery_seconds_bucket{path="replay",transport="ws",le="0.1"} \#(replay)"#)
    }
    meter.take(page(0, 0))
    meter.take(page(4, 9))
    #expect(meter.totals.deliveries == [0.1: 8, .infinity: 4])
  }
}

@Suite struct TotalsTests {
  private func totals(_ deliveries: [Double: Double]) -> Totals { Totals(deliveries: deliveries) }

  /// As Prometheus' documentation has `histogram_quantile`: linear within the bucket, the highest bound beyond it.
  @Test func tellsPercentilesAsPrometheusDoes() {
    #expect(totals([:]).deliverySeconds(quantile: 0.99) == nil)
    #expect(totals([0.1: 0, .infinity: 0]).deliverySeconds(quantile: 0.99) == nil)
    let spread = totals([0.1: 50, 0.2: 90, 0.5: 100, .infinity: 100])
    #expect(spread.deliverySeconds(quantile: 0.5) == 0.1)
    #expect(abs((spread.deliverySeconds(quantile: 0.95) ?? 0) - 0.35) < 1e-9)
    #expect(abs((spread.deliverySeconds(quantile: 0.25) ?? 0) - 0.05) < 1e-9)
    let late = totals([0.1: 10, 0.5: 10, .infinity: 100])
    #expect(late.deliverySeconds(quantile: 0.99) == 0.5)
  }

  @Test func subtractsBucketByBucket() {
    let earlier = Totals(attempts: 1, calls: 2, deliveries: [0.1: 5])
    let later = Totals(attempts: 4, attemptErrors: 1, calls: 2, deliveries: [0.1: 7, 0.2: 3])
    #expect(later - earlier == Totals(attempts: 3, attemptErrors: 1, deliveries: [0.1: 2, 0.2: 3]))
  }
}
