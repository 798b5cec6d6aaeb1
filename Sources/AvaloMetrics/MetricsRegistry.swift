import Synchronization

/// All metrics of a process, and their page in Prometheus' text format (0.0.4).
///
/// Families are declared once, at the start, in each target's `Metrics.swift`; a declared label value's series exists at
/// 0 from then on. The handles that a family gives out are what the hot path holds: writing one is one atomic
/// instruction, no lock, no look-up. Any thread may write, any may render.
public final class MetricsRegistry: Sendable {
  private struct State {
    var families: [String: any MetricFamily] = [:]
    var collectors: [@Sendable () -> Void] = []
  }
  private let state = Mutex(State())
  let droppedSeries: Counter

  public init() {
    let dropped = Counter()
    droppedSeries = dropped
    add(
      Family(
        name: "avalo_metrics_series_dropped_total",
        help: "Series that were not kept because their family had too many label values.", kind: .counter, labels: [],
        make: { dropped }, dropped: dropped))
  }

  // MARK: Declaring

  /// A count of events without labels. Declaring a name again gives the same one; as something else it is a defect.
  public func counter(_ name: String, help: String) -> Counter { counter(name, help: help, labels: [:]).with() }

  /// Counts of events, one for each combination of label values. A key without values is open: its series come into
  /// being as they are asked for, within ``MetricsLimits/openSeriesMax``.
  public func counter(_ name: String, help: String, labels: KeyValuePairs<String, [String]>) -> CounterFamily {
    declare(name, help, .counter, labels) { Counter() }
  }

  /// A value that goes up and down.
  public func gauge(_ name: String, help: String) -> Gauge { gauge(name, help: help, labels: [:]).with() }
  public func gauge(_ name: String, help: String, labels: KeyValuePairs<String, [String]>) -> GaugeFamily {
    declare(name, help, .gauge, labels) { Gauge() }
  }

  /// A distribution. `edges` are the buckets' upper bounds, ascending; the last bucket, to infinity, is added.
  public func histogram(_ name: String, help: String, edges: [Double] = HistogramEdges.latencySeconds) -> Histogram {
    histogram(name, help: help, edges: edges, labels: [:]).with()
  }
  public func histogram(
    _ name: String, help: String, edges: [Double] = HistogramEdges.latencySeconds,
    labels: KeyValuePairs<String, [String]>
  ) -> HistogramFamily {
    declare(name, help, .histogram, labels) { Histogram(edges: edges) }
  }

  /// Values that are computed when somebody looks: `values` answers one sample for each series that exists then.
  public func computed(
    _ kind: ComputedKind, _ name: String, help: String, labels: [String] = [],
    _ values: @escaping @Sendable () -> [Sample]
  ) {
    add(
      ComputedFamily(
        name: name, help: help, kind: kind == .counter ? .counter : .gauge, labelKeys: labels, values: values))
  }
  /// One value that is computed when somebody looks.
  public func computed(_ kind: ComputedKind, _ name: String, help: String, _ value: @escaping @Sendable () -> Double) {
    computed(kind, name, help: help) { [Sample(value())] }
  }

  /// Calls `collector` before each page is written, to set gauges.
  public func collect(_ collector: @escaping @Sendable () -> Void) {
    state.withLock { $0.collectors.append(collector) }
  }

  public enum ComputedKind: Sendable { case counter, gauge }

  /// One value of a computed family, its label values in the order of the family's keys.
  public struct Sample: Sendable {
    public var labels: [String]
    public var value: Double
    public init(_ value: Double, labels: [String] = []) {
      self.labels = labels
      self.value = value
    }
  }

  // MARK: Reading

  /// The page, families by name.
  public func render() -> [UInt8] {
    let (families, collectors) = state.withLock { ($0.families, $0.collectors) }
    for collector in collectors { collector() }
    var page = PrometheusText()
    for (_, family) in families.sorted(by: { $0.key < $1.key }) { family.write(to: &page) }
    return page.bytes
  }

  /// Names of the families that are declared.
  public var names: [String] { state.withLock { $0.families.keys.sorted() } }

  // MARK: Inside

  private func declare<Series: MetricSeries>(
    _ name: String, _ help: String, _ kind: MetricKind, _ labels: KeyValuePairs<String, [String]>,
    _ make: @escaping @Sendable () -> Series
  ) -> Family<Series> {
    precondition(PrometheusText.isName(name), "metric name \"\(name)\"")
    for (key, _) in labels { precondition(PrometheusText.isLabelKey(key), "label \"\(key)\" of \(name)") }
    let family = Family(
      name: name, help: help, kind: kind, labels: labels.map { ($0.key, $0.value) }, make: make, dropped: droppedSeries)
    return state.withLock { state in
      guard let present = state.families[name] else {
        state.families[name] = family
        return family
      }
      guard let same = present as? Family<Series>, same.labelKeys == family.labelKeys else {
        preconditionFailure("metric \(name) is declared twice, differently")
      }
      return same
    }
  }

  private func add(_ family: any MetricFamily) {
    precondition(PrometheusText.isName(family.name), "metric name \"\(family.name)\"")
    state.withLock { state in
      precondition(state.families[family.name] == nil, "metric \(family.name) is declared twice")
      state.families[family.name] = family
    }
  }

  /// For metrics that other libraries make by themselves: the family of that name if it is of that kind and has these
  /// keys, a new one when there is none, `nil` when the name is taken by something else.
  func foreign<Series: MetricSeries>(
    _ name: String, _ kind: MetricKind, _ keys: [String], _ make: @escaping @Sendable () -> Series
  ) -> Family<Series>? {
    state.withLock { state in
      if let present = state.families[name] {
        guard let family = present as? Family<Series>, family.labelKeys == keys else { return nil }
        return family
      }
      let family = Family(
        name: name, help: "Reported by a library under this name.", kind: kind, labels: keys.map { ($0, []) },
        make: make,
        dropped: droppedSeries)
      state.families[name] = family
      return family
    }
  }
}
