import CoreMetrics

/// The registry as swift-metrics' backend: `MetricsSystem.bootstrap(registry)`. What libraries count by that API comes
/// out on the same page, under their names made fit for Prometheus.
///
/// A counter gets `_total`, a timer `_seconds`. A name that is taken by something else, or has other labels than before,
/// is kept for its owner and not shown.
extension MetricsRegistry: MetricsFactory {
  /// Makes this the process's backend. Once, at the start.
  public func bootstrap() { MetricsSystem.bootstrap(self) }

  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    ForeignCounter(foreign(label, "_total", .counter, dimensions) { Counter() } ?? Counter())
  }
  public func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler
  {
    // Shown as a gauge: a library may reset it, and our counters are whole.
    ForeignGauge(foreign(label, "", .gauge, dimensions) { Gauge() } ?? Gauge())
  }
  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    ForeignGauge(foreign(label, "", .gauge, dimensions) { Gauge() } ?? Gauge())
  }
  public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    guard aggregate else { return ForeignGauge(foreign(label, "", .gauge, dimensions) { Gauge() } ?? Gauge()) }
    let make: @Sendable () -> Histogram = { Histogram(edges: HistogramEdges.batch) }
    return ForeignHistogram(foreign(label, "", .histogram, dimensions, make) ?? make())
  }
  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    let make: @Sendable () -> Histogram = { Histogram(edges: HistogramEdges.latencySeconds) }
    return ForeignHistogram(foreign(label, "_seconds", .histogram, dimensions, make) ?? make())
  }

  // A series that is gone would look like a reset when it comes back: they stay.
  public func destroyCounter(_ handler: any CounterHandler) {}
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
  public func destroyMeter(_ handler: any MeterHandler) {}
  public func destroyRecorder(_ handler: any RecorderHandler) {}
  public func destroyTimer(_ handler: any TimerHandler) {}

  private func foreign<Series: MetricSeries>(
    _ label: String, _ suffix: String, _ kind: MetricKind, _ dimensions: [(String, String)],
    _ make: @escaping @Sendable () -> Series
  ) -> Series? {
    var name = PrometheusText.name(from: label)
    if !name.hasSuffix(suffix) { name += suffix }
    let sorted = dimensions.map { (PrometheusText.name(from: $0.0), $0.1) }.sorted { $0.0 < $1.0 }
    let keys = sorted.map(\.0)
    guard Set(keys).count == keys.count, keys.allSatisfy(PrometheusText.isLabelKey) else { return nil }
    return foreign(name, kind, keys, make)?.find(sorted.map(\.1))
  }
}

private final class ForeignCounter: CounterHandler {
  private let counter: Counter
  init(_ counter: Counter) { self.counter = counter }
  func increment(by amount: Int64) { if amount > 0 { counter.add(Int(clamping: amount)) } }
  /// A counter that falls would be a restart to Prometheus.
  func reset() {}
}

private final class ForeignGauge: FloatingPointCounterHandler, MeterHandler, RecorderHandler {
  private let gauge: Gauge
  init(_ gauge: Gauge) { self.gauge = gauge }
  func increment(by amount: Double) { gauge.add(amount) }
  func decrement(by amount: Double) { gauge.add(-amount) }
  func set(_ value: Int64) { gauge.set(Double(value)) }
  func set(_ value: Double) { gauge.set(value) }
  func record(_ value: Int64) { gauge.set(Double(value)) }
  func record(_ value: Double) { gauge.set(value) }
  func reset() { gauge.set(0.0) }
}

private final class ForeignHistogram: RecorderHandler, TimerHandler {
  private let histogram: Histogram
  init(_ histogram: Histogram) { self.histogram = histogram }
  func record(_ value: Int64) { histogram.observe(Double(value)) }
  func record(_ value: Double) { histogram.observe(value) }
  func recordNanoseconds(_ duration: Int64) { histogram.observe(Double(duration) / 1e9) }
}
