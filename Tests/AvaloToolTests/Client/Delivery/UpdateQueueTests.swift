import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct UpdateQueueTests {
  private func item(_ number: UInt64) -> Inbox.Item {
    let position = Position(epoch: Epoch(rawValue: 1), offset: number)
    return Inbox.Item(
      update: .live(topic: "t", position), reached: Inbox.Item.Reached(topic: "t", position: position))
  }

  private func number(_ update: RealtimeUpdate?) -> UInt64? {
    if case .live(_, let position) = update { position.offset } else { nil }
  }

  private func filled(_ count: UInt64) -> UpdateQueue {
    var queue = UpdateQueue()
    for number in 1...count { queue.append(item(number)) }
    return queue
  }

  @Test func keepsEverythingUntilThereIsAReader() {
    var queue = filled(3)
    let none = queue.processed(0)
    #expect(none.isEmpty)
    let reader = queue.addReader()
    let read = (0..<4).map { _ in number(queue.next(for: reader) { _ in true }) }
    #expect(read == [1, 2, 3, nil])
  }

  @Test func whatWasTakenIsProcessedWhenTheNextIsAskedFor() {
    var queue = filled(3)
    let reader = queue.addReader()
    _ = queue.next(for: reader) { _ in true }
    let first = queue.processed(0)
    #expect(first.isEmpty, "it is being worked on")
    _ = queue.next(for: reader) { _ in true }
    let second = queue.processed(0).map(\.position.offset)
    #expect(second == [1])
    queue.finish(reader)
    let third = queue.processed(0).map(\.position.offset)
    #expect(third == [2])
    #expect(queue.count == 1)
  }

  @Test func theSlowestReaderDecides() {
    var queue = filled(3)
    let (fast, slow) = (queue.addReader(), queue.addReader())
    for _ in 0..<4 { _ = queue.next(for: fast) { _ in true } }
    _ = queue.next(for: slow) { _ in true }
    let none = queue.processed(0)
    #expect(none.isEmpty)
    _ = queue.next(for: slow) { _ in true }
    let one = queue.processed(0).map(\.position.offset)
    #expect(one == [1])
    // Whoever leaves holds nothing back any more.
    queue.removeReader(slow)
    let rest = queue.processed(0).map(\.position.offset)
    #expect(rest == [2, 3])
  }

  @Test func whoLeavesHasNotProcessedWhatItTookLast() {
    var queue = filled(2)
    let reader = queue.addReader()
    _ = queue.next(for: reader) { _ in true }
    queue.removeReader(reader)
    let none = queue.processed(0)
    #expect(none.isEmpty)
    let other = queue.addReader()
    let again = number(queue.next(for: other) { _ in true })
    #expect(again == 1)
  }

  @Test func whatIsNoEventIsProcessedWhenItIsPassedOver() {
    var queue = filled(5)
    let reader = queue.addReader()
    let found = number(queue.next(for: reader) { self.number($0) == 4 })
    #expect(found == 4)
    let passed = queue.processed(0).map(\.position.offset)
    #expect(passed == [1, 2, 3])
  }

  @Test func aPositionWithoutAnUpdateWaitsForItsTurn() {
    var queue = filled(1)
    queue.append(Inbox.Item(reached: item(2).reached))
    let reader = queue.addReader()
    _ = queue.next(for: reader) { _ in true }
    let none = queue.processed(0)
    #expect(none.isEmpty)
    let nothing = number(queue.next(for: reader) { _ in true })
    #expect(nothing == nil)
    let both = queue.processed(0).map(\.position.offset)
    #expect(both == [1, 2])
  }

  @Test func anotherUsersUpdatesGoUnprocessed() {
    var queue = filled(3)
    let reader = queue.addReader()
    _ = queue.next(for: reader) { _ in true }
    queue.clear()
    queue.append(item(9))
    let next = number(queue.next(for: reader) { _ in true })
    #expect(next == 9)
    let none = queue.processed(0)
    #expect(none.isEmpty)
  }

  @Test func releasesMemoryHoweverManyPass() {
    var queue = UpdateQueue()
    let reader = queue.addReader()
    var seen: UInt64 = 0
    for round in 1...20_000 as ClosedRange<UInt64> {
      queue.append(item(round))
      if let next = number(queue.next(for: reader) { _ in true }) {
        #expect(next == seen + 1)
        seen = next
      }
      _ = queue.processed(0)
    }
    #expect(seen == 20_000)
    #expect(queue.count == 1)
  }
}
