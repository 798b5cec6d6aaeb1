import AvaloTesting
import Foundation
import Testing

/// What is shipped for Prometheus and Alertmanager is good, and each threshold is tested just under and just over.
@Suite struct MonitoringFilesTests {
  private static let tests = House.files("monitoring/tests", ".yml")
  private static let checks =
    [
      ["check", "rules", "monitoring/rules/alerts.yml", "monitoring/rules/recording.yml"],
      ["check", "config", "monitoring/prometheus.yml"],
    ] + tests.map { ["test", "rules", $0] }

  @Test(.enabled(if: Needs.tool("promtool"), "needs promtool"), arguments: checks)
  func promtoolAgrees(arguments: [String]) async throws {
    let promtool = try await TestProcess.start(
      try #require(Needs.path(of: "promtool")), arguments, directory: House.root)
    #expect(try await promtool.ending(within: .seconds(60)) == .exit(0), "\(promtool.output)")
  }

  @Test(.enabled(if: Needs.tool("amtool"), "needs amtool")) func amtoolAgrees() async throws {
    let amtool = try await TestProcess.start(
      try #require(Needs.path(of: "amtool")), ["check-config", "monitoring/alertmanager.yml"], directory: House.root)
    #expect(try await amtool.ending() == .exit(0), "\(amtool.output)")
  }

  /// Each alert's rule as text, by its name.
  private func alerts() throws -> [String: Substring] {
    var alerts: [String: Substring] = [:]
    for rule in try House.read("monitoring/rules/alerts.yml").split(separator: "- alert: ").dropFirst() {
      let name = String(rule.prefix { !$0.isWhitespace })
      #expect(alerts.updateValue(rule, forKey: name) == nil, "\(name) is there twice")
    }
    return alerts
  }

  @Test func everyAlertIsTestedOnBothSides() throws {
    let alerts = try alerts()
    // The service's document names six thresholds.
    for name in [
      "AvaloConnectionErrorsCritical", "AvaloConnectionErrorsWarning", "AvaloDeliveryLatencyCritical",
      "AvaloDeliveryLatencyWarning", "AvaloSystemErrorsCritical", "AvaloMemoryWarning",
    ] { #expect(alerts[name] != nil, "\(name)") }
    let tests = try Self.tests.flatMap { try House.read($0).split(separator: "- name: ").dropFirst() }
    for alert in alerts.keys {
      let own = tests.filter { $0.contains("alertname: \(alert)\n") }
      #expect(own.contains { $0.contains("just over") && !$0.contains("exp_alerts: []") }, "\(alert) just over")
      #expect(own.contains { $0.contains("just under") && $0.contains("exp_alerts: []") }, "\(alert) just under")
    }
  }

  @Test func everyAlertSaysWhoShouldDoWhatAndHow() throws {
    let overview = try House.read("docs/operations.md")
    for (name, rule) in try alerts() {
      #expect(rule.contains(/labels: \{ severity: (?:critical|warning) \}/), "\(name)")
      for annotation in ["summary", "description"] { #expect(rule.contains("\(annotation): \""), "\(name)") }
      // That the section is there, `DocumentTests` checks.
      #expect(rule.contains("runbook_url: \"docs/operations.md#"), "\(name) has no section in docs/operations.md")
      let stem = name.replacing(/(?:Critical|Warning|Fast|Slow)$/, with: "")
      #expect(overview.contains("`\(stem)"), "\(name) is not in the table of docs/operations.md")
    }
  }

  @Test func everySeriesThatARuleRecordsIsUsedAndTheOtherWayRound() throws {
    let recording = try House.read("monitoring/rules/recording.yml")
    let recorded = Set(recording.matches(of: /record: (\S+)/).map { $0.1 })
    // Other rules that record use some, too.
    let users =
      try House.read("monitoring/rules/alerts.yml") + House.read("monitoring/grafana/avalo.json")
      + recording.replacing(/record: \S+/, with: "")
    let used = Set(users.matches(of: /instance:avalo_\w+:\w+/).map { $0.0 })
    #expect(recorded == used)
  }
}
