import AvaloTesting
import Foundation
import Testing

/// What the rules and their tests speak of is what a running server tells.
@Suite struct MonitoringTests {
  @Test func everySeriesAndLabelOfTheRulesIsExposed() async throws {
    // With the workers that are off by default.
    let folder = TestFolder()
    let server = try await RunningServer.start(environment: WebhookBackend.environment(port: 1, in: folder))
    try await server.process.wait(for: "the webhook") { $0.instances(of: "webhook").contains { $0.state == "ready" } }
    let page = try await server.process.metrics()
    try await server.stop()
    let samples = page.split(separator: "\n").filter { !$0.hasPrefix("#") }
    let series = Set(samples.map { $0.prefix { $0 != "{" && $0 != " " } })
    #expect(series.count > 50)

    let rules = "\(TestPaths.root)/monitoring"
    let files = try FileManager.default.subpathsOfDirectory(atPath: rules)
      .filter { $0.hasSuffix(".yml") || $0.hasSuffix(".json") }
    var asked = 0
    for file in files {
      let text = try String(contentsOfFile: "\(rules)/\(file)", encoding: .utf8)
      for (name, labels) in Self.selectors(in: text) {
        asked += 1
        #expect(series.contains(name), "\(file) asks for \(name), which nobody exposes")
        // From the start, so that a rate over it is right from the first one on.
        for (label, value) in labels {
          let part = "\(label)=\"\(value)\""
          #expect(
            samples.contains { $0.hasPrefix(name + "{") && $0.contains(part) }, "\(file) asks for \(name){\(part)}")
        }
      }
    }
    #expect(asked > 20)
  }

  /// Names of series in PromQL or in a test's input, each with the label values it asks for. Names with a colon are
  /// rules' own; `instance`, `job`, `worker` and `slot` are not the series' business, and `le` is the buckets'.
  static func selectors(in text: String) -> [(name: Substring, labels: [(Substring, Substring)])] {
    let named = /(?:^|[^A-Za-z0-9_:])((?:avalo|process)_[a-z0-9_]+)(?![A-Za-z0-9_:])(?:\{([^}]*)\})?/
    return text.matches(of: named).map { match in
      let labels = (match.2 ?? "").matches(of: /(\w+)=~?\\?"([^"\\]*)\\?"/).flatMap { label in
        label.2.split(separator: "|").map { (label.1, $0) }
      }
      return (match.1, labels.filter { !["instance", "job", "worker", "slot", "le"].contains($0.0) })
    }
  }

  @Test func selectorsAreFoundInRules() {
    let found = Self.selectors(
      in: #"sum by (instance) (rate(avalo_a_total{x=~"u|v",worker="w"}[5m])) / avalo_b > a:avalo_c:d"#)
    #expect(found.map(\.name) == ["avalo_a_total", "avalo_b"])
    #expect(found[0].labels.map { "\($0)=\($1)" } == ["x=u", "x=v"])
  }
}
