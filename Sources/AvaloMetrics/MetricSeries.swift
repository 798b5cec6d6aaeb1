import Synchronization

/// A count that only grows.
public final class Counter: MetricSeries {
  private let count = Atomic(0)
  init() {}

  /// `amount` must not be negative.
  @inline(__always) public func add(_ amount: Int = 1) {
    assert(amount >= 0, "a counter only grows")
    count.wrappingAdd(amount, ordering: .relaxed)
  }
  public var value: Int { count.load(ordering: .relaxed) }

  public func write(name: String, labels: String, to page: inout PrometheusText) { page.sample(name, labels, value) }
}

/// A value that goes up and down.
public final class Gauge: MetricSeries {
  private let bits = Atomic(Double(0).bitPattern)
  init() {}

  public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
  public func set(_ value: Int) { set(Double(value)) }
  public func add(_ amount: Double) { bits.addDouble(amount) }
  public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

  public func write(name: String, labels: String, to page: inout PrometheusText) { page.sample(name, labels, value) }
}

/// A distribution over fixed buckets.
///
/// `@unchecked`: the buckets are atomics, written and read through a pointer that is set once and freed last.
public final class Histogram: MetricSeries, @unchecked Sendable {
  /// Upper bounds, ascending; a value on an edge is in the bucket below it, as `le` says.
  public let edges: [Double]
  private let buckets: UnsafeMutablePointer<Atomic<Int>>
  private let sumBits = Atomic(Double(0).bitPattern)

  init(edges: [Double]) {
    precondition(!edges.isEmpty && zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 }, "edges must ascend")
    precondition(edges.allSatisfy(\.isFinite), "the bucket to infinity is added")
    self.edges = edges
    buckets = .allocate(capacity: edges.count + 1)
    for index in 0...edges.count { (buckets + index).initialize(to: Atomic(0)) }
  }
  deinit {
    buckets.deinitialize(count: edges.count + 1)
    buckets.deallocate()
  }

  /// Adds `count` equal observations. A value that is not a number is dropped.
  public func observe(_ value: Double, count: Int = 1) {
    guard !value.isNaN else { return }
    buckets[bucket(of: value)].wrappingAdd(count, ordering: .relaxed)
    sumBits.addDouble(value * Double(count))
  }
  /// As ``observe(_:count:)``, for a histogram of seconds.
  public func observe(seconds: Double, count: Int = 1) { observe(seconds, count: count) }
  public func observe(_ duration: Duration, count: Int = 1) {
    let (seconds, attoseconds) = duration.components
    observe(Double(seconds) + Double(attoseconds) / 1e18, count: count)
  }

  public var count: Int { (0...edges.count).reduce(0) { $0 + buckets[$1].load(ordering: .relaxed) } }
  public var sum: Double { Double(bitPattern: sumBits.load(ordering: .relaxed)) }

  public func write(name: String, labels: String, to page: inout PrometheusText) {
    var total = 0
    for (index, edge) in edges.enumerated() {
      total += buckets[index].load(ordering: .relaxed)
      page.sample(name + "_bucket", PrometheusText.labels(labels, le: PrometheusText.number(edge)), total)
    }
    total += buckets[edges.count].load(ordering: .relaxed)
    page.sample(name + "_bucket", PrometheusText.labels(labels, le: "+Inf"), total)
    page.sample(name + "_sum", labels, sum)
    page.sample(name + "_count", labels, total)
  }

  private func bucket(of value: Double) -> Int {
    var low = 0
    var high = edges.count
    while low < high {
      let middle = (low + high) / 2
      if value <= edges[middle] { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

/// Buckets for common distributions.
public enum HistogramEdges {
  /// Seconds, with an edge at every threshold that the alerts and the objectives use.
  public static let latencySeconds: [Double] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1, 2.5, 5, 10,
  ]
  /// Bytes, in powers of four.
  public static let bytes: [Double] = (3...13).map { Double(1 << (2 * $0)) }
  /// Items in a batch, in powers of two.
  public static let batch: [Double] = (0...12).map { Double(1 << $0) }
}

extension Atomic where Value == UInt64 {
  /// Adds to the double whose bits this holds.
  fileprivate borrowing func addDouble(_ amount: Double) {
    var current = load(ordering: .relaxed)
    while true {
      let (exchanged, original) = weakCompareExchange(
        expected: current, desired: (Double(bitPattern: current) + amount).bitPattern, ordering: .relaxed)
      if exchanged { return }
      current = original
    }
  }
}
