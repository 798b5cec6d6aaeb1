import Synchronization

public typealias CounterFamily = Family<Counter>
public typealias GaugeFamily = Family<Gauge>
public typealias HistogramFamily = Family<Histogram>

enum MetricKind: String, Sendable { case counter, gauge, histogram }

protocol MetricFamily: Sendable {
  var name: String { get }
  func write(to page: inout PrometheusText)
}

/// One series: what the hot path writes.
public protocol MetricSeries: AnyObject, Sendable {
  /// Appends its lines to a page.
  func write(name: String, labels: String, to page: inout PrometheusText)
}

/// Series of one name that differ in their labels' values.
public final class Family<Series: MetricSeries>: MetricFamily, Sendable {
  let name: String
  let labelKeys: [String]
  private let help: String
  private let kind: MetricKind
  /// By key; empty when any value goes.
  private let allowed: [[String]]
  private let make: @Sendable () -> Series
  private let dropped: Counter
  private let series = Mutex<(byValues: [[String]: Series], order: [[String]])>(([:], []))

  init(
    name: String, help: String, kind: MetricKind, labels: [(key: String, values: [String])],
    make: @escaping @Sendable () -> Series, dropped: Counter
  ) {
    self.name = name
    self.help = help
    self.kind = kind
    self.make = make
    self.dropped = dropped
    labelKeys = labels.map(\.key)
    allowed = labels.map(\.values)
    guard allowed.allSatisfy({ !$0.isEmpty }) else { return }
    // All combinations, so that every series exists from the start.
    let combinations = allowed.reduce([[]]) { sofar, values in sofar.flatMap { head in values.map { head + [$0] } } }
    series.withLock { series in
      for values in combinations where series.byValues[values] == nil {
        series.byValues[values] = make()
        series.order.append(values)
      }
    }
  }

  /// The series with these label values, in the order of the keys. Not for the hot path: keep the handle. A value that was
  /// not declared is a defect; of an open key one beyond the bound gets a series that is not shown.
  public func with(_ values: String...) -> Series { with(values: values) }

  public func with(values: [String]) -> Series {
    precondition(values.count == labelKeys.count, "\(name) has the labels \(labelKeys), not \(values.count)")
    guard let series = find(values) else { preconditionFailure("\(name) has no label values \(values)") }
    return series
  }

  /// `nil` when a value is not allowed.
  func find(_ values: [String]) -> Series? {
    series.withLock { series in
      if let known = series.byValues[values] { return known }
      for (value, values) in zip(values, allowed) where !values.isEmpty && !values.contains(value) { return nil }
      guard series.order.count < MetricsLimits.openSeriesMax else {
        dropped.add(1)
        return make()
      }
      let new = make()
      series.byValues[values] = new
      series.order.append(values)
      return new
    }
  }

  func write(to page: inout PrometheusText) {
    let shown = series.withLock { series in series.order.map { ($0, series.byValues[$0]!) } }
    guard !shown.isEmpty else { return }
    page.head(name: name, help: help, kind: kind)
    for (values, series) in shown {
      series.write(name: name, labels: PrometheusText.labels(labelKeys, values), to: &page)
    }
  }
}

/// Values that exist only while somebody looks.
struct ComputedFamily: MetricFamily {
  let name: String
  let help: String
  let kind: MetricKind
  let labelKeys: [String]
  let values: @Sendable () -> [MetricsRegistry.Sample]

  func write(to page: inout PrometheusText) {
    let samples = values()
    guard !samples.isEmpty else { return }
    page.head(name: name, help: help, kind: kind)
    for sample in samples {
      page.sample(name, PrometheusText.labels(labelKeys, sample.labels), sample.value)
    }
  }
}
