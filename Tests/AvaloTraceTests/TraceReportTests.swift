import AvaloCore
import Testing

@testable import AvaloTrace

/// An event's journey as people read it.
@Suite struct TraceReportTests {
  /// An event of `chat:c`, read by bob's phone and nobody else's.
  private func report(
    _ user: String?, copy: String = #""topic":"chat:c","state":"kept","offset":5,"acceptedAt":1000"#,
    journal: String = ""
  ) throws -> TraceReport {
    var facts = try TraceFacts(
      json: (#"{"now":9000,"copies":[{\#(copy)}],"topics":[{"name":"chat:c","epoch":"1","head":7,"floor":0,"#
        + #""devices":[{"user":"bob","device":"phone","platform":"web","seenAt":2000,"open":true,"cursor":5}]}]}"#))
    try facts.add(json: (#"{"instance":"gateway.0","connections":[],"journal":[\#(journal)]}"#))
    return TraceReport(eventID: "evt_1", facts: facts, user: user)
  }

  @Test func tellsOneUsersDevicesAlone() throws {
    let bob = try report("bob").lines
    #expect(bob.contains { $0.contains("bob") && $0.contains("acknowledged: its cursor is 5") })
    let ann = try report("ann")
    #expect(ann.lines.contains("  no device of ann reads chat:c") && !ann.lines.contains { $0.contains("bob") })
    #expect(json(ann.write(to:)).contains(#""devices":[],"reasons":[]"#))
    #expect(try report(nil).lines.contains { $0.contains("bob") })
  }

  @Test func saysWhyTheUserDoesNotReadIt() throws {
    let denied =
      #"{"at":3000,"kind":"denied","user":"ann","connection":"c1","device":"d","denied":{"chat:c":"PERMISSION_DENIED"}}"#
    let refused =
      #"{"at":4000,"kind":"refused","user":"ann","connection":"c2","device":"d","why":"the engine is off for ann"}"#
    let others = refused.replacing("ann", with: "zoe")
    let lines = try report("ann", journal: [denied, refused, others].joined(separator: ",")).lines
    #expect(lines.filter { $0.contains("denied") && $0.contains("chat:c PERMISSION_DENIED") }.count == 1)
    #expect(lines.filter { $0.contains("refused") && $0.contains("the engine is off for ann") }.count == 1)
    #expect(!lines.contains { $0.contains("zoe") })
  }

  @Test func whatWasTakenBackWasNotEvicted() throws {
    let lines = try report("ann", copy: #""topic":"chat:c","state":"cancelled","offset":0,"keptAt":1000"#).lines
    #expect(lines.count == 2 && lines[1].hasPrefix("  held for chat:c, and taken back before its time 1970-01-01"))
  }

  @Test func aBroadcastThatIsNotTheUsersSaysSo() throws {
    let lines = try report("ann", copy: #""state":"kept","offset":0,"recipients":40"#).lines
    #expect(lines.contains("  a broadcast to 40 inboxes; user:ann is none of them"))
  }
}
