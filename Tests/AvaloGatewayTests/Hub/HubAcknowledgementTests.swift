import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// What clients say they have processed, on its way to the scheduler.
@Suite struct HubAcknowledgementTests {
  let epoch = testEpoch

  @Test func clampsAnAcknowledgementToWhatWasWritten() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(0))
    loop.deliver(1, "a")
    loop.say(ann, #"{"ack":{"topic":"user:ann","epoch":"\#(epoch)","offset":99}}"#)
    let entry = try #require(try loop.port.take(Acknowledge.self).first?.message.entries.first)
    #expect(entry.position == position(1))
    loop.say(ann, #"{"ack":{"topic":"user:ann","epoch":"\#(Epoch(generation: 8, nonce: 8))","offset":1}}"#)
    #expect(try loop.port.take(Acknowledge.self).isEmpty)
  }

  @Test func countsAcknowledgementsByThemselves() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(9))
    let ack = #"{"ack":{"topic":"user:ann","epoch":"\#(epoch)","offset":9}}"#
    loop.turn { for _ in 0..<HubLimits.acknowledgementsPerSecondMax { loop.hear(ann, ack) } }
    loop.say(ann, #"{"ping":{}}"#)
    #expect(loop.take(ann).map(\.kindOfFrame) == ["pong"])
    loop.say(ann, ack)
    #expect(loop.closes[ann.slot] == CloseCode.rateLimited.rawValue)
  }

  @Test func takesTheHighestOfSeveralAcknowledgementsOfATopic() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(9))
    let acks = [3, 7, 5].map { #"{"topic":"user:ann","epoch":"\#(epoch)","offset":\#($0)}"# }
    loop.say(ann, #"{"ack":[\#(acks.joined(separator: ",")),{"topic":"chat:none","epoch":"\#(epoch)","offset":1}]}"#)
    let entries = try loop.port.take(Acknowledge.self).flatMap(\.message.entries)
    #expect(entries.map(\.position) == [position(7)])
  }

  @Test func tellsWhatWasAcknowledgedBeforeTheTopicIsGivenUp() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(3))
    _ = try (loop.port.take(Watch.self), loop.port.take(QueryReads.self), loop.port.take(LatestSeen.self))
    loop.turn {
      loop.hear(ann, #"{"ack":{"topic":"user:ann","epoch":"\#(epoch)","offset":3}}"#)
      loop.life.end(ann.slot)
    }
    #expect(loop.port.frames.map(\.kind) == [.acknowledge, .unwatch, .detach])
  }

  /// The cursor that a topic starts from again is the one that was acknowledged a moment ago.
  @Test func tellsWhatWasAcknowledgedBeforeItAsksForCursors() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(3), chats: ["c"])
    _ = try (loop.port.take(Watch.self), loop.port.take(QueryReads.self), loop.port.take(LatestSeen.self))
    loop.turn {
      loop.hear(ann, #"{"ack":{"topic":"user:ann","epoch":"\#(epoch)","offset":3}}"#)
      loop.hear(ann, #"{"id":1,"call":"unsubscribe","data":{"subscriptions":["user:ann"]}}"#)
      loop.hear(ann, #"{"id":2,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["user:ann"]}}"#)
    }
    #expect(loop.port.frames.map(\.kind) == [.acknowledge, .leave, .cursors, .watch, .unwatch])
  }

  private func position(_ offset: UInt64) -> Position { Position(epoch: epoch, offset: offset) }

  /// The scheduler that a new link leads to knows no cursor that it was not asked for, and takes no word about it.
  @Test func asksForTheCursorsOfLiveTopicsOverANewLink() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(4))
    loop.linkDown()
    _ = try loop.port.take(Attach.self)
    loop.linkUp()
    let attach = try #require(try loop.port.take(Attach.self).last)
    #expect(attach.message.topics.map(\.topic.name) == ["user:ann"])
    loop.scheduler { $0.frame(Attached(cursors: [position(2)]), correlation: attach.correlation) }
    try loop.watched(position(4))
    // What it was written stands: nothing comes again.
    #expect(loop.take(ann).isEmpty)
    #expect(try loop.port.take(Read.self).isEmpty)
  }
}
