import AvaloCore
import Testing

@testable import AvaloTrace

/// Why a user got an event, or did not.
@Suite struct TraceVerdictTests {
  private func scheduler(
    state: String = "kept", cursor: Int? = 3, open: Bool = false, more: String = ""
  ) throws -> TraceFacts {
    let cursor = (cursor.map { #","cursor":\#($0)"# } ?? "") + more
    return try TraceFacts(
      json: (#"{"now":9000,"copies":[{"topic":"user:ann","state":"\#(state)","offset":5,"acceptedAt":1000}],"#
        + #""topics":[{"name":"user:ann","epoch":"1","head":7,"floor":0,"devices":[{"user":"ann","device":"phone","#
        + #""platform":"web","seenAt":2000,"open":\#(open)\#(cursor)}]}]}"#))
  }

  private func connection(_ state: String, through: Int) -> String {
    #"{"connection":"c1","user":"ann","device":"phone","opened":500,"topic":"user:ann","state":"\#(state)","#
      + #""through":\#(through),"backlog":0}"#
  }

  private func line(_ kind: String, _ more: String) -> String {
    #"{"at":3000,"kind":"\#(kind)","user":"ann","connection":"c0","device":"phone",\#(more)}"#
  }

  private func verdict(
    _ facts: TraceFacts, connections: [String] = [], journal: [String] = []
  ) throws -> TraceVerdict {
    var facts = facts
    try facts.add(
      json: (#"{"instance":"gateway.0","connections":[\#(connections.joined(separator: ","))],"#
        + #""journal":[\#(journal.joined(separator: ","))]}"#))
    return TraceVerdict.of(facts.copies[0], in: facts.topics[0], at: facts.topics[0].devices[0], facts)
  }

  @Test func aCursorAtTheOffsetMeansAcknowledged() throws {
    #expect(try verdict(scheduler(cursor: 5)) == TraceVerdict(.acknowledged, "acknowledged: its cursor is 5"))
  }

  @Test func aPositionAtTheOffsetMeansWritten() throws {
    let written = try verdict(scheduler(open: true), connections: [connection("live", through: 5)])
    #expect(written == TraceVerdict(.written, "written to c1 (gateway.0), not acknowledged yet"))
  }

  @Test func aConnectionThatEndedAfterItWasWrittenSaysSo() throws {
    let closed = line("closed", #""clean":false,"topics":{"user:ann":6}"#)
    let written = try verdict(scheduler(cursor: nil), journal: [closed])
    #expect(written.outcome == .written && written.text.contains("(the connection broke)"))
    let before = line("closed", #""clean":true,"topics":{"user:ann":4}"#)
    let away = try verdict(scheduler(cursor: nil), journal: [before])
    #expect(away.outcome == .waiting && away.text.contains("not connected since"))
  }

  @Test func aSlowReaderIsParked() throws {
    let parked = line("parked", #""topic":"user:ann","through":4,"backlog":70000"#)
      .replacing("c0", with: "c1")
    let verdict = try verdict(
      scheduler(open: true), connections: [connection("parked", through: 4)], journal: [parked])
    #expect(verdict.outcome == .waiting && verdict.text.contains("reads too slowly and is parked at 4 since"))
  }

  @Test func whoIsNotThereIsToldWithTheReason() throws {
    #expect(try verdict(scheduler()).text.contains("not connected, last seen"))
    let refused = try verdict(scheduler(), journal: [line("refused", #""status":"UNAVAILABLE","why":"off""#)])
    #expect(refused.outcome == .waiting && refused.text.contains("was refused (off)"))
    let denied = try verdict(
      scheduler(open: true), journal: [line("denied", #""denied":{"user:ann":"PERMISSION_DENIED"}"#)])
    #expect(denied.text.contains("not subscribed to user:ann, which was denied (PERMISSION_DENIED)"))
  }

  @Test func aSubscriptionThatEndedAfterItWasWrittenSaysSo() throws {
    let lost = line("denied", #""topics":{"user:ann":5},"denied":{"user:ann":"PERMISSION_DENIED"}"#)
    let written = try verdict(scheduler(open: true), journal: [lost])
    #expect(written.outcome == .written && written.text.contains("whose subscription ended"))
    #expect(written.text.contains("(PERMISSION_DENIED)"))
    // Before that it waits, and why is told.
    let before = line("denied", #""topics":{"user:ann":4},"denied":{"user:ann":"PERMISSION_DENIED"}"#)
    let away = try verdict(scheduler(open: true), journal: [before])
    #expect(away.outcome == .waiting && away.text.contains("which was denied (PERMISSION_DENIED)"))
  }

  @Test(arguments: ["expired", "evicted"]) func whatIsGoneBeforeItWasWrittenIsLost(state: String) throws {
    let lost = try verdict(scheduler(state: state))
    #expect(lost.outcome == .lost && lost.text.contains(state))
    // Its cursor is behind it all the same: what it was told there is not known, unless it was there in time.
    let passed = try verdict(scheduler(state: state, cursor: 5))
    #expect(passed.outcome == .passed && passed.text.hasPrefix("\(state), and the device's cursor is 5"))
    let there = line("closed", #""clean":true,"opened":900,"topics":{"user:ann":6}"#)
    #expect(try verdict(scheduler(state: state, cursor: 5), journal: [there]).outcome == .acknowledged)
    let later = there.replacing("900", with: "2500")
    #expect(try verdict(scheduler(state: state, cursor: 5), journal: [later]).outcome == .passed)
    let live = try verdict(scheduler(state: state, cursor: 5), connections: [connection("live", through: 6)])
    #expect(live.outcome == .acknowledged)
  }

  @Test func whatWasNeverTheDevicesIsNotAcknowledged() throws {
    let before = try verdict(scheduler(cursor: 7, more: #","began":5"#))
    #expect(before.outcome == .passed && before.text.contains("it began behind offset 5"))
    #expect(try verdict(scheduler(cursor: 7, more: #","began":4"#)).outcome == .acknowledged)
    let stranger = try verdict(scheduler(cursor: 7, more: #","since":6"#))
    #expect(stranger.outcome == .passed && stranger.text.contains("membership, which begins at offset 6"))
    #expect(try verdict(scheduler(cursor: 7, more: #","since":5"#)).outcome == .acknowledged)
  }

  /// After a restore offsets come again: a connection that ended before the event was accepted had another one there.
  @Test func aConnectionThatEndedBeforeItWasAcceptedSaysNothing() throws {
    let closed = line("closed", #""clean":true,"topics":{"user:ann":6}"#).replacing("3000", with: "999")
    let away = try verdict(scheduler(), journal: [closed])
    #expect(away.outcome == .waiting && away.text.contains("not connected since"))
  }

  @Test func aReportTellsTheWholeJourney() throws {
    let report = TraceReport(eventID: "evt_1", facts: try scheduler(cursor: 5))
    #expect(report.lines.contains { $0.contains("user:ann offset 5") && $0.contains("head 7") })
    #expect(report.lines.contains { $0.contains("phone") && $0.contains("acknowledged: its cursor is 5") })
    #expect(json(report.write(to:)).contains(#""outcome":"acknowledged""#))
    var nothing = try scheduler()
    nothing.copies = []
    #expect(TraceReport(eventID: "evt_1", facts: nothing).lines[0].hasPrefix("nothing is known of evt_1"))
  }
}
