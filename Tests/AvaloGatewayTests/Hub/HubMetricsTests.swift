import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// What the alerts and objectives are made of is counted where it happens.
@Suite struct HubMetricsTests {
  private func position(_ offset: UInt64) -> Position { Position(epoch: testEpoch, offset: offset) }

  @Test(
    arguments: [
      (nil, 0, 0),
      (Position(epoch: testEpoch, offset: 4), 1, 0),
      (Position(epoch: Epoch(generation: 9, nonce: 9), offset: 40), 0, 1),
    ] as [(Position?, Double, Double)])
  func countsWhoCameBackToTheirPlaceAndWhoDidNot(presented: Position?, recovered: Double, not: Double) throws {
    let loop = try TestLoop()
    loop.linkUp()
    _ = try loop.connect("ann", presents: presented, cursor: position(1), head: position(5))
    #expect(loop.metric(#"avalo_resumes_total{outcome="recovered"}"#) == recovered)
    #expect(loop.metric(#"avalo_resumes_total{outcome="unrecovered"}"#) == not)
  }

  @Test func countsEachEventThatAClientMissed() throws {
    let loop = try TestLoop()
    loop.linkUp()
    _ = try loop.connect("ann", cursor: position(0), head: position(9), floor: 3)
    // 1 to 3 evicted; 4, 5 and 8, 9 expired.
    try loop.answerRead(after: 0, upTo: 9, floor: 3, [(6, "f"), (7, "g")])
    #expect(loop.metric(#"avalo_events_missed_total{reason="evicted"}"#) == 3)
    #expect(loop.metric(#"avalo_events_missed_total{reason="expired"}"#) == 4)
  }

  @Test func countsAnEventThatExpiredOnTheWay() throws {
    let loop = try TestLoop()
    _ = try loop.live("ann", at: position(0))
    loop.deliver(1, "late", expires: loop.clock.wall.milliseconds - 1)
    #expect(loop.metric(#"avalo_events_missed_total{reason="expired"}"#) == 1)
  }

  @Test func tellsHowLongTheOldestEventWaits() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let oldest = #"avalo_oldest_undelivered_seconds{transport="websocket"}"#
    _ = try loop.connect("ann", cursor: position(1), head: position(3))
    loop.advance(4)
    #expect(loop.metric(oldest) == 4)
    try loop.answerRead(after: 1, upTo: 3, [(2, "b"), (3, "c")])
    loop.advance(1)
    #expect(loop.metric(oldest) == 0)
  }

  @Test func whoLeavesWaitsForNothing() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let ann = try loop.connect("ann", cursor: position(1), head: position(3))
    loop.advance(4)
    loop.hangUp(ann)
    loop.advance(1)
    #expect(loop.metric(#"avalo_oldest_undelivered_seconds{transport="websocket"}"#) == 0)
    #expect(loop.hub.behindSince.isEmpty)
  }
}
