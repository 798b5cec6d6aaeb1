import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct AcknowledgementsTests {
  private func reached(_ topic: String, _ offset: UInt64, acknowledged: Bool = true) -> Inbox.Item.Reached {
    Inbox.Item.Reached(
      topic: topic, position: Position(epoch: Epoch(rawValue: 1), offset: offset), isAcknowledged: acknowledged)
  }

  @Test func gathersTheNewestOfEachTopicForAMoment() {
    var acknowledgements = Acknowledgements()
    for (topic, offset, now) in [("a", 1, 100), ("a", 2, 120), ("b", 7, 149)] as [(String, UInt64, Int64)] {
      acknowledgements.add(reached(topic, offset), now: now)
    }
    #expect(acknowledgements.due == 150)
    let sent = acknowledgements.take(isConnected: true)
    #expect(sent.mapValues(\.offset) == ["a": 2, "b": 7])
    #expect(acknowledgements.due == nil)
    let nothing = acknowledgements.take(isConnected: true)
    #expect(nothing.isEmpty)
    #expect(acknowledgements.positions(of: ["b", "c"]).mapValues(\.offset) == ["b": 7])
  }

  @Test func whereATopicBeganIsKeptAndNotTold() {
    var acknowledgements = Acknowledgements()
    acknowledgements.add(reached("a", 4, acknowledged: false), now: 0)
    #expect(acknowledgements.due == nil)
    #expect(acknowledgements.positions["a"]?.offset == 4)
    acknowledgements.forget("a")
    #expect(acknowledgements.positions.isEmpty)
  }

  @Test func whatCannotBeSentStaysToBeSent() {
    var acknowledgements = Acknowledgements()
    acknowledgements.add(reached("a", 1), now: 0)
    let none = acknowledgements.take(isConnected: false)
    #expect(none.isEmpty && acknowledgements.due == nil)
    let kept = acknowledgements.takeUnsaved()
    #expect(kept?.mapValues(\.offset) == ["a": 1])
    let unchanged = acknowledgements.takeUnsaved()
    #expect(unchanged == nil)
    acknowledgements.add(reached("b", 2), now: 0)
    let sent = acknowledgements.take(isConnected: true)
    #expect(sent.mapValues(\.offset) == ["a": 1, "b": 2])
  }

  /// No acknowledgement is answered: one that was sent may not have come.
  @Test func isSaidAgainWhenTheTopicBeginsOnAnotherConnection() {
    let kept = Position(epoch: Epoch(rawValue: 1), offset: 9)
    var acknowledgements = Acknowledgements(positions: ["kept": kept])
    acknowledgements.add(reached("a", 4), now: 0)
    _ = acknowledgements.take(isConnected: true)
    for topic in ["a", "kept", "unknown"] { acknowledgements.again(topic, now: 70) }
    #expect(acknowledgements.due == 120)
    let sent = acknowledgements.take(isConnected: true)
    #expect(sent.mapValues(\.offset) == ["a": 4, "kept": 9])
  }

  @Test func knowsWhatTheServerWasNotTold() {
    let kept = Position(epoch: Epoch(rawValue: 1), offset: 9)
    var acknowledgements = Acknowledgements(positions: ["kept": kept])
    #expect(acknowledgements.untold.isEmpty)
    acknowledgements.add(reached("a", 4), now: 0)
    acknowledgements.add(reached("b", 2), now: 0)
    acknowledgements.add(reached("c", 7, acknowledged: false), now: 0)
    #expect(acknowledgements.untold.mapValues(\.offset) == ["a": 4, "b": 2])
    acknowledgements.tell(["a": reached("a", 5).position])
    #expect(acknowledgements.untold.mapValues(\.offset) == ["b": 2])
    // Another epoch counts anew.
    acknowledgements.tell(["a": Position(epoch: Epoch(rawValue: 2), offset: 5)])
    #expect(acknowledgements.untold.mapValues(\.offset) == ["a": 4, "b": 2])
    acknowledgements.forget("a")
    #expect(acknowledgements.untold.mapValues(\.offset) == ["b": 2])
  }

  @Test func whatWasSentOfTopicsThatHaveBegunIsToldWhenTheConnectionEndsInOrder() {
    var acknowledgements = Acknowledgements()
    acknowledgements.began()
    acknowledgements.again("a", now: 0)
    acknowledgements.add(reached("a", 4), now: 0)
    acknowledgements.add(reached("b", 2), now: 0)
    acknowledgements.endedInOrder()
    #expect(acknowledgements.untold.mapValues(\.offset) == ["b": 2])
    acknowledgements.add(reached("a", 5), now: 0)
    acknowledgements.began()
    acknowledgements.endedInOrder()
    #expect(acknowledgements.untold.mapValues(\.offset) == ["a": 5, "b": 2])
  }
}
