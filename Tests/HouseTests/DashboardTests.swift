import AvaloTesting
import Foundation
import Testing

/// The dashboard can be imported, and every question it asks is one. That the series are there, `MonitoringTests` checks
/// against a running server.
@Suite struct DashboardTests {
  private struct Dashboard: Decodable {
    var title: String
    var uid: String
    var schemaVersion: Int
    var panels: [Panel]
    var templating: Templating
  }
  private struct Templating: Decodable {
    var list: [Variable]
    struct Variable: Decodable { var name: String }
  }
  private struct Panel: Decodable {
    var id: Int
    var type: String
    var title: String
    var gridPos: Place
    var targets: [Target]?
    var fieldConfig: FieldConfig?
  }
  private struct Place: Decodable { var x: Int, y: Int, w: Int, h: Int }
  private struct Target: Decodable {
    var refId: String
    var expr: String
  }
  private struct FieldConfig: Decodable {
    var defaults: Defaults
    struct Defaults: Decodable { var thresholds: Thresholds? }
    struct Thresholds: Decodable { var steps: [Step] }
    struct Step: Decodable { var value: Double? }
  }

  private func dashboard() throws -> Dashboard {
    try JSONDecoder().decode(Dashboard.self, from: Data(House.read("monitoring/grafana/avalo.json").utf8))
  }

  @Test func panelsHavePlacesAndNumbersOfTheirOwn() throws {
    let panels = try dashboard().panels
    #expect(Set(panels.map(\.id)).count == panels.count)
    var cells = Set<[Int]>()
    for panel in panels {
      let place = panel.gridPos
      #expect(place.x >= 0 && place.x + place.w <= 24, "\(panel.title)")
      for x in place.x..<place.x + place.w {
        for y in place.y..<place.y + place.h {
          #expect(cells.insert([x, y]).inserted, "\(panel.title) lies over another")
        }
      }
      let names = panel.targets?.map(\.refId) ?? []
      #expect(Set(names).count == names.count, "\(panel.title)")
      if panel.type != "row" { #expect(!names.isEmpty, "\(panel.title) asks nothing") }
    }
  }

  /// With a line at each threshold that an alert has.
  @Test func theSixIndicatorsComeFirst() throws {
    let first = try dashboard().panels.filter { $0.type == "timeseries" }.prefix(6)
    let lines = first.map { ($0.fieldConfig?.defaults.thresholds?.steps ?? []).compactMap(\.value) }
    #expect(lines == [[0.02, 0.05], [0.5], [0.02], [0.2], [0.8], [3, 14.4]])
  }

  @Test(.enabled(if: Needs.tool("promtool"), "needs promtool")) func everyQuestionParses() async throws {
    let dashboard = try dashboard()
    let known = Set(dashboard.templating.list.map(\.name) + ["__rate_interval"])
    var rules = "groups: [{name: dashboard, rules: ["
    for panel in dashboard.panels {
      for target in panel.targets ?? [] {
        for variable in target.expr.matches(of: /\$(\w+)/) {
          #expect(known.contains(String(variable.1)), "\(panel.title): \(variable.0)")
        }
        let expression = target.expr.replacing("$__rate_interval", with: "1m").replacing("\"", with: "\\\"")
        rules += "{record: \"dashboard:panel\(panel.id):\(target.refId)\", expr: \"\(expression)\"},\n"
      }
    }
    let folder = TestFolder()
    let file = try folder.write(rules + "]}]", to: "dashboard.yml")
    let promtool = try await TestProcess.start(
      try #require(Needs.path(of: "promtool")), ["check", "rules", "--lint=none", file])
    #expect(try await promtool.ending() == .exit(0), "\(promtool.output)")
  }
}
