import Foundation
import Testing

@testable import AvaloConsole

/// What the console shows is what the rest of the house says.
@Suite struct ConsolePageTests {
  @Test func itsThresholdsAreTheAlerts() throws {
    let rules = try House.read("monitoring/rules/alerts.yml")
    let series: [(Indicator, String)] = [
      (.connectionErrors, "instance:avalo_connection_errors:ratio_rate5m"),
      (.deliveryP99, "instance:avalo_event_delivery_seconds:p99_5m"),
      (.deliveryP95, "instance:avalo_event_delivery_seconds:p95_5m"),
      (.systemErrors, "instance:avalo_call_errors:ratio_rate5m"),
      (.memory, "instance:avalo_memory_used:ratio"),
    ]
    var count = 0
    for (indicator, series) in series {
      for threshold in indicator.thresholds {
        count += 1
        let rule = rules.split(separator: "- alert: ").first {
          $0.contains("\(series) > \(threshold.value)\n") && $0.contains("severity: \(threshold.severity.rawValue) ")
        }
        #expect(rule != nil, "\(indicator): \(threshold)")
      }
    }
    #expect(count == 6)
  }

  /// Each file of the page is in the program, served, and asks for nothing from elsewhere.
  @Test func itsFilesAreServedAndNeedNothingElse() throws {
    let faces = try House.read("Sources/AvaloConsole/Faces/PageFiles.swift")
    let manifest = try House.read("Package.swift")
    let files = House.files("Sources/AvaloConsole/Page", ".html", ".css", ".mjs")
    #expect(files.count > 5)
    for file in files {
      let name = (file as NSString).lastPathComponent
      #expect(manifest.contains(".embedInCode(\"Page/\(name)\")"), "\(name)")
      #expect(faces.contains(name == "index.html" ? "\"/\"" : "\"/\(name)\""), "\(name)")
      let text = try House.read(file)
      for match in text.matches(of: /from '\.\/([\w.]+)'|(?:src|href)="([\w.]+)"/) {
        let asked = String(match.1 ?? match.2 ?? "")
        #expect(House.exists("Sources/AvaloConsole/Page/\(asked)"), "\(name) asks for \(asked)")
      }
      // The names of XML are no addresses.
      let addresses = text.matches(of: /(?:https?:)?\/\/[\w.]+/).map(\.0).filter { !$0.contains("www.w3.org") }
      #expect(addresses == [], "\(name)")
      #expect(!text.contains("innerHTML") && !text.contains("style="), "\(name)")
      #expect(text.split(separator: "\n").count <= 350, "\(name)")
    }
  }
}
