import AvaloTesting
import Foundation
import Testing

@testable import AvaloGateway

/// docs/protocol/examples.md shows every function as it was called, and what is shown fits the contracts.
@Suite struct RecordedExamplesTests {
  /// Sections by their heading, without the marks around it.
  private let sections: [String: String]

  init() throws {
    let page = try String(contentsOfFile: "\(TestPaths.root)/docs/protocol/examples.md", encoding: .utf8)
    var sections: [String: String] = [:]
    for section in page.components(separatedBy: "\n## ").dropFirst() {
      let lines = section.split(separator: "\n", maxSplits: 1)
      sections[lines[0].trimmingCharacters(in: ["`"])] = String(lines.last ?? "")
    }
    self.sections = sections
  }

  @Test(arguments: CallTable.names)
  func showsAFunction(name: String) throws {
    let section = try #require(
      sections[name],
      "record its example: call it in scripts/record-examples, and run `avaloctl sandbox -- scripts/record-examples`")
    let lines = section.split(separator: "\n").map(String.init)
    if lines.contains(where: { $0.hasPrefix("→ ") }) {
      // It is for WebSockets.
      let call = try JSONValue(json: String(try #require(lines.first { $0.hasPrefix("→ ") }).dropFirst(2)))
      let answer = try JSONValue(json: String(try #require(lines.first { $0.hasPrefix("← ") }).dropFirst(2)))
      #expect(call["call"]?.text == name)
      try check(name, data: call["data"], result: answer["result"])
    } else {
      #expect(lines.contains("POST /\(name) HTTP/1.1"))
      #expect(lines.contains("HTTP/1.1 200 OK"))
      let bodies = try lines.filter { $0.hasPrefix("{") }.map { try JSONValue(json: $0) }
      try #require(bodies.count == 2)
      try check(name, data: bodies[0]["data"], result: bodies[1]["result"])
    }
  }

  private func check(_ name: String, data: JSONValue?, result: JSONValue?) throws {
    let taken = Contract.schema.problems(try #require(data), try #require(Contract.data(name)))
    let answered = Contract.schema.problems(try #require(result), try #require(Contract.result(name)))
    #expect(taken == [])
    #expect(answered == [])
  }

  @Test func showsFramesAsTheyAreWrittenDown() throws {
    var shown: Set<String> = []
    for line in try #require(sections["A WebSocket"]).split(separator: "\n") {
      let text = String(line.dropFirst(2))
      if line.hasPrefix("← ") { Contract.check(frame: text) }
      guard line.hasPrefix("→ ") else { continue }
      let frame = try JSONValue(json: text)
      // One of them is not of the protocol, to show what is said to that.
      guard let name = Contract.frames(of: "fromClients").first(where: { frame[$0] != nil }) else { continue }
      shown.insert(name)
      #expect(Contract.schema.problems(frame, try #require(Contract.payload(name))) == [], "\(text)")
    }
    #expect(shown == ["connect", "call", "ack", "ping"])
  }

  @Test func showsFailuresAsTheyAreWrittenDown() throws {
    let failures = try #require(sections["Failures"]).split(separator: "\n").filter { $0.hasPrefix(#"{"error""#) }
    #expect(failures.count >= 5)
    let place = try #require(Contract.schema.resolve("#/components/schemas/Failure", in: "openapi.yaml"))
    for failure in failures {
      #expect(Contract.schema.problems(try JSONValue(json: String(failure)), place) == [], "\(failure)")
    }
  }
}
