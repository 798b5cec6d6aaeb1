import AvaloCore
import Foundation
import Testing

@testable import AvaloGateway

/// The documents say what the code does.
@Suite struct DocumentTests {
  @Test func theTableOfEventTypesIsTheCodes() throws {
    var rows: [String: (ttl: String, kept: String)] = [:]
    for line in try House.lines("docs/protocol/client.md") {
      guard let row = line.firstMatch(of: /^\| `(\w+)` \| (\d+ (?:s|min|h|d)) \| (durable|latest|ephemeral)\b/) else {
        continue
      }
      rows[String(row.1)] = (String(row.2), String(row.3))
    }
    #expect(rows.count == EventType.allCases.count)
    for type in EventType.allCases {
      let row = try #require(rows[type.wireName], "\(type.wireName) is not in docs/protocol/client.md")
      #expect(Self.seconds(row.ttl) == type.defaultTTLSeconds, "\(type.wireName)")
      #expect(row.kept == "\(type.retention)", "\(type.wireName)")
    }
  }

  private static func seconds(_ text: String) -> UInt32? {
    let parts = text.split(separator: " ")
    let units: [Substring: UInt32] = ["s": 1, "min": 60, "h": 3600, "d": 86400]
    guard let count = UInt32(parts[0]), let unit = units[parts[1]] else { return nil }
    return count * unit
  }

  @Test func everyCallableHasItsSectionAndItsTests() throws {
    let documents = try House.files("docs/protocol", ".md").map(House.read).joined(separator: "\n")
    for callable in CallTable.callables {
      let name = callable.name.description
      #expect(documents.contains("\n### `\(name)`"), "\(name) has no section in docs/protocol")
      let tests = "Tests/AvaloGatewayTests/Callable/\(callable)Tests.swift"
      #expect((try? House.read(tests))?.contains(name) == true, "\(tests) should test \(name)")
    }
  }

  @Test func linksLeadSomewhere() throws {
    for document in House.documents {
      let folder = (document as NSString).deletingLastPathComponent
      for match in try House.read(document).matches(of: /\]\(([^)\s]+)\)/) where !match.1.contains("://") {
        try check(String(match.1), from: folder, in: document)
      }
    }
    for rules in House.files("monitoring", ".yml") {
      for match in try House.read(rules).matches(of: /runbook_url: "([^"]+)"/) {
        try check(String(match.1), from: "", in: rules)
      }
    }
  }

  private func check(_ link: String, from folder: String, in document: String) throws {
    let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts[0].isEmpty ? (document as NSString).lastPathComponent : String(parts[0])
    let target = ((folder as NSString).appendingPathComponent(path) as NSString).standardizingPath
    guard House.exists(target) else {
      Issue.record("\(document) links to \(link), which is not there")
      return
    }
    guard parts.count == 2 else { return }
    #expect(try Self.anchors(of: target).contains(String(parts[1])), "\(document) links to \(link)")
  }

  /// Headings as the usual renderers name them.
  private static func anchors(of document: String) throws -> Set<String> {
    let headings = try House.lines(document).filter { $0.hasPrefix("#") }
    return Set(
      headings.map { heading in
        let text = heading.drop { $0 == "#" || $0 == " " }.lowercased()
        return text.filter { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" || $0 == " " }
          .replacing(" ", with: "-")
      })
  }

  @Test func whatDocumentsNameIsThere() throws {
    for file in House.files("Sources", ".swift") {
      for match in try House.read(file).matches(of: /docs\/[\w\/-]+\.md/) where match.0 != "docs/benchmarks.md" {
        #expect(House.exists(String(match.0)), "\(file) names \(match.0)")
      }
    }
    let targets = try House.read("Makefile").matches(of: /(?m)^([a-z-]+):/).map { String($0.1) }
    for document in House.documents {
      let text = try House.read(document)
      for match in text.matches(of: /`((?:Sources|Tests|config|docs|monitoring|scripts|systemd)\/[\w\/.-]*)`/) {
        #expect(House.exists(String(match.1)), "\(document) names \(match.1)")
      }
      for match in text.matches(of: /`make ([a-z-]+)/) {
        #expect(targets.contains(String(match.1)), "\(document) names make \(match.1)")
      }
    }
  }

  /// `docs/architecture.md` says of each promise which test proves it.
  @Test func everyPromisesTestsExist() throws {
    #expect(try Self.checkTests(named: House.read("docs/architecture.md")) > 20)
  }

  /// `docs/delivery.md` says of each of its fifteen rules which tests reproduce what it closes.
  @Test func everyRuleOfDeliveryHasItsTests() throws {
    var rules: [Int] = []
    for line in try House.lines("docs/delivery.md") {
      guard let row = line.firstMatch(of: /^\| (\d+) [^|]+\|[^|]+\| ([^|]+) \|$/), let rule = Int(row.1) else {
        continue
      }
      rules.append(rule)
      #expect(try Self.checkTests(named: String(row.2)) > 0, "rule \(rule) names no test")
    }
    #expect(rules == Array(1...15))
  }

  /// Every `Suite.test` of a text is there; returns how many it names.
  private static func checkTests(named text: String) throws -> Int {
    var suites: [String: String] = [:]
    for file in House.files("Tests", "Tests.swift") {
      suites[(file as NSString).lastPathComponent.replacing(".swift", with: ""), default: ""] += try House.read(file)
    }
    let named = text.matches(of: /`(\w+Tests)(?:\.(\w+))?`/)
    for match in named {
      let text = try #require(suites[String(match.1)], "\(match.1) is not there")
      guard let test = match.2 else { continue }
      #expect(text.contains("func \(test)("), "\(match.1) has no test \(test)")
    }
    return named.count
  }
}
