import AvaloCore
import Testing

@testable import AvaloClient

/// Events that no reader wants, in the queue they came by.
@Suite struct HeldEventsTests {
  private func event(_ type: String, _ topic: String, offset: UInt64? = nil, version: Int64? = nil) -> Inbox.Item {
    let event = RealtimeEvent(
      topic: topic, offset: offset, version: version,
      content: ReceivedEvent(
        eventID: "\(type) \(offset ?? UInt64(version ?? 0))", type: type, payload: .emptyObject,
        timestampMilliseconds: 1,
        priority: .normal), frame: .emptyObject)
    let reached = offset.map {
      Inbox.Item.Reached(topic: topic, position: Position(epoch: Epoch(rawValue: 1), offset: $0))
    }
    return Inbox.Item(update: .event(event), reached: reached)
  }

  private func filled(_ items: Inbox.Item...) -> UpdateQueue {
    var queue = UpdateQueue()
    for item in items { queue.append(item) }
    return queue
  }

  private func of(_ type: String) -> (RealtimeUpdate) -> Bool {
    { if case .event(let event) = $0 { event.type == type } else { false } }
  }

  /// Everything of the type that there is for the reader, processed.
  private func drain(_ queue: inout UpdateQueue, _ reader: UpdateQueue.ReaderID, _ type: String) -> [String] {
    var found: [String] = []
    while case .event(let event)? = queue.next(for: reader, where: of(type)) { found.append(event.eventID) }
    return found
  }

  private func offsets(_ reached: [Inbox.Item.Reached]) -> [String] {
    reached.map { "\($0.topic) \($0.position.offset)" }
  }

  @Test func whatNoReaderWantsWaitsAndHoldsBackOnlyItsTopic() {
    var queue = filled(
      event("chat", "user:u", offset: 1), event("note", "user:u", offset: 2), event("chat", "user:u", offset: 3),
      event("chat", "chat:c", offset: 9), event("note", "user:u", offset: 4), event("chat", "user:u", offset: 5))
    let chats = queue.addReader()
    #expect(drain(&queue, chats, "chat") == ["chat 1", "chat 3", "chat 9", "chat 5"])
    let before = offsets(queue.processed(0))
    #expect(before == ["user:u 1", "chat:c 9"])
    #expect(queue.count == 0, "nobody is behind")
    #expect(queue.passed.mapValues(\.offset) == ["user:u": 5, "chat:c": 9])

    let notes = queue.addReader()
    _ = queue.next(for: notes, where: of("note"))
    let none = queue.processed(0)
    #expect(none.isEmpty, "it is being worked on")
    _ = queue.next(for: notes, where: of("note"))
    let some = offsets(queue.processed(0))
    #expect(some == ["user:u 2", "user:u 3"])
    queue.finish(notes)
    let all = offsets(queue.processed(0))
    #expect(all == ["user:u 4", "user:u 5"])
  }

  @Test func aLoopThatEndsAndBeginsAgainMissesNothingAndSeesNothingTwice() {
    var queue = filled(event("note", "user:u", offset: 1), event("note", "user:u", offset: 2))
    let chats = queue.addReader()
    _ = queue.next(for: chats, where: of("chat"))
    let notes = queue.addReader()
    _ = queue.next(for: notes, where: of("note"))
    _ = queue.next(for: notes, where: of("note"))
    // It leaves with the second one, which it has not processed.
    queue.removeReader(notes)
    queue.append(event("note", "user:u", offset: 3))
    queue.append(event("chat", "user:u", offset: 4))
    #expect(drain(&queue, chats, "chat") == ["chat 4"])
    let first = offsets(queue.processed(0))
    #expect(first == ["user:u 1"])
    let again = queue.addReader()
    #expect(drain(&queue, again, "note") == ["note 2", "note 3"])
    let rest = offsets(queue.processed(0))
    #expect(rest == ["user:u 2", "user:u 3", "user:u 4"])
  }

  @Test func aReaderThatComesBackIsNotShownWhatASlowOneHolds() {
    var queue = filled(event("note", "user:u", offset: 1), event("note", "user:u", offset: 2))
    let (slow, quick) = (queue.addReader(), queue.addReader())
    _ = queue.next(for: slow, where: of("note"))
    #expect(drain(&queue, quick, "note") == ["note 1", "note 2"])
    queue.removeReader(quick)
    queue.append(event("note", "user:u", offset: 3))
    let back = queue.addReader()
    #expect(drain(&queue, back, "note") == ["note 3"])
    // But whoever was there gets everything, also what others have read.
    #expect(drain(&queue, slow, "note") == ["note 2", "note 3"])
    let all = offsets(queue.processed(0))
    #expect(all == ["user:u 1", "user:u 2", "user:u 3"])
  }

  @Test func twoReadersThatBeginWithWhatWaitsEachGetIt() {
    var queue = filled(event("note", "user:u", offset: 1), event("note", "user:u", offset: 2))
    let chats = queue.addReader()
    _ = queue.next(for: chats, where: of("chat"))
    _ = queue.processed(0)
    let (one, two) = (queue.addReader(), queue.addReader())
    #expect(drain(&queue, one, "note") == ["note 1", "note 2"])
    let none = queue.processed(0)
    #expect(none.isEmpty, "the other one has not had it")
    #expect(drain(&queue, two, "note") == ["note 1", "note 2"])
    let both = offsets(queue.processed(0))
    #expect(both == ["user:u 1", "user:u 2"])
  }

  @Test func whatNobodyAsksForPassesAndWhatIsExpectedDoesNot() {
    var queue = filled(
      event("note", "user:u", offset: 1), event("like", "user:u", offset: 2), event("chat", "user:u", offset: 3))
    queue.expect("like")
    let chats = queue.addReader()
    _ = drain(&queue, chats, "chat")
    let none = queue.processed(100)
    #expect(none.isEmpty)
    #expect(queue.due == 100 + ClientLimits.heldFor)
    queue.expire(100 + ClientLimits.heldFor)
    let passed = offsets(queue.processed(100))
    #expect(passed == ["user:u 1"])
    #expect(queue.due == nil)
    // Asked for in time, though nobody reads yet.
    queue.append(event("note", "user:u", offset: 4))
    _ = drain(&queue, chats, "chat")
    _ = queue.processed(200)
    queue.expect("note")
    #expect(queue.due == nil)
    let likes = queue.addReader()
    #expect(drain(&queue, likes, "like") == ["like 2"])
    let more = offsets(queue.processed(300))
    #expect(more == ["user:u 2", "user:u 3"])
  }

  @Test func ofStatesOnlyTheLatestWaitsAndTypingNotForLong() {
    var queue = filled(
      event("presence", "presence:a", version: 1), event("typing", "chat:c"),
      event("presence", "presence:b", version: 7),
      event("presence", "presence:a", version: 2))
    queue.expect("presence")
    queue.expect("typing")
    let chats = queue.addReader()
    _ = drain(&queue, chats, "chat")
    _ = queue.processed(0)
    #expect(queue.due == ClientLimits.heldFor)
    queue.expire(ClientLimits.heldFor)
    let (presence, typing) = (queue.addReader(), queue.addReader())
    #expect(drain(&queue, presence, "presence") == ["presence 7", "presence 2"])
    #expect(drain(&queue, typing, "typing") == [])
  }

  @Test func theOldestPassesWhenTooManyWait() {
    var queue = UpdateQueue()
    queue.expect("note")
    let chats = queue.addReader()
    let count = UInt64(ClientLimits.heldMax) + 3
    for offset in 1...count { queue.append(event("note", "user:u", offset: offset)) }
    queue.append(event("presence", "presence:a", version: 1))
    _ = drain(&queue, chats, "chat")
    let passed = offsets(queue.processed(0))
    #expect(passed == ["user:u 1", "user:u 2", "user:u 3"])
    let notes = queue.addReader()
    #expect(drain(&queue, notes, "note").count == ClientLimits.heldMax)
  }

  @Test func whereEverythingIsReadEveryTypeWaitsButTyping() {
    var queue = filled(event("note", "user:u", offset: 1), event("chat", "user:u", offset: 2))
    let chats = queue.addReader()
    _ = drain(&queue, chats, "chat")
    _ = queue.processed(0)
    #expect(queue.due == ClientLimits.heldFor)
    queue.expect(nil)
    #expect(queue.due == nil)
    queue.append(event("like", "user:u", offset: 3))
    _ = drain(&queue, chats, "chat")
    _ = queue.processed(0)
    #expect(queue.due == nil)
    queue.append(event("typing", "chat:c"))
    _ = drain(&queue, chats, "chat")
    _ = queue.processed(5)
    #expect(queue.due == 5 + ClientLimits.heldFor)
  }
}
