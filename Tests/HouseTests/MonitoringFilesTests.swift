import AvaloTesting
import Testing

/// The rules for Prometheus are good, and each threshold is tested just under and just over.
@Suite struct MonitoringFilesTests {
  @Test(
    .enabled(if: Needs.tool("promtool"), "needs promtool"),
    arguments: [
      ["check", "rules", "monitoring/rules/alerts.yml", "monitoring/rules/recording.yml"],
      ["check", "config", "monitoring/prometheus.yml"], ["test", "rules", "monitoring/tests/alerts_test.yml"],
    ])
  func promtoolAgrees(arguments: [String]) async throws {
    let promtool = try await TestProcess.start(
      try #require(Needs.path(of: "promtool")), arguments, directory: House.root)
    #expect(try await promtool.ending() == .exit(0), "\(promtool.output)")
  }

  @Test func everyAlertIsTestedOnBothSides() throws {
    let alerts = try House.read("monitoring/rules/alerts.yml").matches(of: /- alert: (\w+)/).map { $0.1 }
    // The service's document names six thresholds.
    for name in [
      "AvaloConnectionErrorsCritical", "AvaloConnectionErrorsWarning", "AvaloDeliveryLatencyCritical",
      "AvaloDeliveryLatencyWarning", "AvaloSystemErrorsCritical", "AvaloMemoryWarning",
    ] { #expect(alerts.contains { $0 == name }, "\(name)") }
    let tests = try House.read("monitoring/tests/alerts_test.yml").split(separator: "- name: ").dropFirst()
    for alert in alerts {
      let own = tests.filter { $0.contains("alertname: \(alert)\n") }
      #expect(own.contains { $0.contains("just over") && !$0.contains("exp_alerts: []") }, "\(alert) just over")
      #expect(own.contains { $0.contains("just under") && $0.contains("exp_alerts: []") }, "\(alert) just under")
    }
  }
}
