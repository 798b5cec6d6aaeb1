import AvaloTesting
import CoreMetrics
import Foundation
import Testing

@testable import AvaloMetrics

@Suite struct MetricsRegistryTests {
  private func page(_ registry: MetricsRegistry, _ prefix: String = "test_") -> [String] {
    String(decoding: registry.render(), as: UTF8.self).split(separator: "\n").map(String.init)
      .filter { $0.hasPrefix(prefix) || $0.contains(" \(prefix)") }
  }

  @Test func everyDeclaredSeriesIsThereAtZero() {
    let registry = MetricsRegistry()
    _ = registry.counter(
      "test_calls_total", help: "Calls.", labels: ["function": ["a", "b"], "code": ["OK", "INTERNAL"]])
    _ = registry.gauge("test_open", help: "Open.")
    #expect(
      page(registry) == [
        "# HELP test_calls_total Calls.", "# TYPE test_calls_total counter",
        #"test_calls_total{function="a",code="OK"} 0"#, #"test_calls_total{function="a",code="INTERNAL"} 0"#,
        #"test_calls_total{function="b",code="OK"} 0"#, #"test_calls_total{function="b",code="INTERNAL"} 0"#,
        "# HELP test_open Open.", "# TYPE test_open gauge", "test_open 0",
      ])
  }

  @Test func countersGaugesAndHistogramsSayWhatTheyWereTold() {
    let registry = MetricsRegistry()
    let counter = registry.counter("test_total", help: "x", labels: ["t": ["a"]]).with("a")
    counter.add(3)
    counter.add()
    let gauge = registry.gauge("test_g", help: "x")
    gauge.set(2.5)
    gauge.add(-1)
    let histogram = registry.histogram("test_h", help: "x", edges: [0.1, 1])
    histogram.observe(seconds: 0.1, count: 3)
    histogram.observe(.milliseconds(500))
    histogram.observe(7)
    histogram.observe(-1)
    histogram.observe(.nan)
    #expect(
      page(registry).filter { !$0.hasPrefix("#") } == [
        "test_g 1.5", #"test_h_bucket{le="0.1"} 4"#, #"test_h_bucket{le="1"} 5"#, #"test_h_bucket{le="+Inf"} 6"#,
        "test_h_sum 6.8", "test_h_count 6", #"test_total{t="a"} 4"#,
      ])
  }

  @Test func computedValuesAreAskedAtEachLook() {
    let registry = MetricsRegistry()
    let source = registry.counter("test_source_total", help: "x")
    registry.computed(.gauge, "test_c", help: "x", labels: ["k"]) {
      (0..<source.value).map { .init(Double($0), labels: ["v\($0)"]) }
    }
    registry.computed(.counter, "test_seconds_total", help: "x") { 0.25 }
    let collected = registry.gauge("test_set", help: "x")
    registry.collect { collected.set(source.value) }
    #expect(!page(registry).contains { $0.contains("test_c") })
    source.add(2)
    #expect(page(registry).contains(#"test_c{k="v1"} 1"#))
    #expect(page(registry).contains("test_seconds_total 0.25"))
    #expect(page(registry).contains("test_set 2"))
  }

  @Test func declaringTwiceGivesTheSame() {
    let registry = MetricsRegistry()
    registry.counter("test_total", help: "x").add(1)
    registry.counter("test_total", help: "x").add(1)
    #expect(page(registry).last == "test_total 2")
  }

  @Test func openLabelsAreBounded() {
    let registry = MetricsRegistry()
    let family = registry.counter("test_total", help: "x", labels: ["name": []])
    for index in 0..<(MetricsLimits.openSeriesMax + 10) { family.with("n\(index)").add(1) }
    #expect(page(registry).count == MetricsLimits.openSeriesMax + 2)
    #expect(registry.droppedSeries.value == 10)
    #expect(family.with("n3") === family.with("n3"))
  }

  @Test func labelValuesAreEscaped() {
    let registry = MetricsRegistry()
    registry.gauge("test_g", help: "a\\b\nc", labels: ["k": ["q\"b\\n\n"]]).with("q\"b\\n\n").set(1)
    #expect(
      page(registry) == [
        #"# HELP test_g a\\b\nc"#, "# TYPE test_g gauge", #"test_g{k="q\"b\\n\n"} 1"#,
      ])
  }

  @Test(arguments: [
    (0.0, "0"), (-0.0, "0"), (1.0, "1"), (0.1, "0.1"), (1e300, "1e+300"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
    (.nan, "NaN"), (1e-9, "1e-09"), (9_007_199_254_740_992, "9007199254740992"),
  ])
  func numbersAreWritten(_ value: Double, _ text: String) { #expect(PrometheusText.number(value) == text) }

  @Test func manyThreadsLoseNothing() async {
    let registry = MetricsRegistry()
    let counter = registry.counter("test_total", help: "x")
    let histogram = registry.histogram("test_h", help: "x", edges: [1, 2])
    let gauge = registry.gauge("test_g", help: "x")
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for value in 0..<10_000 {
            counter.add(1)
            histogram.observe(Double(value % 3) + 0.5)
            gauge.add(1)
          }
        }
      }
      group.addTask { for _ in 0..<100 { _ = registry.render() } }
    }
    #expect(counter.value == 80_000)
    #expect(histogram.count == 80_000)
    #expect(gauge.value == 80_000)
  }

  @Test func whatLibrariesCountIsOnTheSamePage() {
    let registry = MetricsRegistry()
    registry.makeCounter(label: "test.requests", dimensions: [("b", "2"), ("a", "1")]).increment(by: 5)
    registry.makeCounter(label: "test.requests", dimensions: [("a", "1"), ("b", "2")]).increment(by: -5)
    registry.makeTimer(label: "test.time", dimensions: []).recordNanoseconds(2_000_000_000)
    registry.makeMeter(label: "test.level", dimensions: []).set(Int64(7))
    registry.makeRecorder(label: "test.now", dimensions: [], aggregate: false).record(1.5)
    registry.makeRecorder(label: "test.sizes", dimensions: [], aggregate: true).record(Int64(3))
    registry.makeFloatingPointCounter(label: "test.sum", dimensions: []).increment(by: 0.5)
    // Other labels or another kind under the same name: kept, not shown.
    registry.makeCounter(label: "test.requests", dimensions: [("c", "1")]).increment(by: 1)
    registry.makeMeter(label: "test.requests_total", dimensions: []).set(Int64(1))
    registry.makeMeter(label: "0test\u{1F600}", dimensions: [("__x", "1")]).set(Int64(1))
    let lines = page(registry)
    for line in [
      #"test_requests_total{a="1",b="2"} 5"#, "test_time_seconds_sum 2", "test_level 7", "test_now 1.5",
      "test_sizes_count 1", "test_sum 0.5",
    ] { #expect(lines.contains(line)) }
    #expect(!lines.contains { $0.contains("c=\"1\"") })
  }

  @Test(.enabled(if: Needs.tool("promtool"), "needs promtool"))
  func promtoolFindsNothingToSay() throws {
    let registry = MetricsRegistry()
    registry.counter("test_calls_total", help: "Calls.", labels: ["code": ["OK", "a\"b\\c\nd"]]).with("OK").add(1)
    registry.gauge("test_memory_used_bytes", help: "Memory.").set(1e18)
    registry.histogram("test_delivery_seconds", help: "Delivery.", labels: ["path": ["live", "replay"]])
      .with("live").observe(0.3)
    registry.computed(.counter, "test_cpu_seconds_total", help: "CPU.") { 1.25 }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(Needs.path(of: "promtool")))
    process.arguments = ["check", "metrics"]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(registry.render()))
    try input.fileHandleForWriting.close()
    let said = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(said == "")
  }
}
