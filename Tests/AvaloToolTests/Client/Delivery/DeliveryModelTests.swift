import AvaloCore
import Testing

@testable import AvaloClient

/// The way of an event through the client, against a log that is the model: random cuts, readers that lag, programs that
/// end well or crash. Whatever happens, everything is shown, in order; and twice only what a crash left unsaved.
@Suite struct DeliveryModelTests {
  private static let count: UInt64 = 60
  private static let epoch = Epoch(rawValue: 1)

  /// One run of an application, with what outlives it.
  private struct World {
    var inbox = Inbox(userID: "u")
    var queue = UpdateQueue()
    var acknowledgements = Acknowledgements()
    var reader = 0
    /// The server's cursor of the device, and the client's own file.
    var cursor: UInt64 = 0
    var kept: [String: Position] = [:]
    /// By run.
    var shown: [[UInt64]] = [[]]

    init() { reader = queue.addReader() }

    mutating func connect() -> UInt64 {
      inbox.began(["user:u"], presenting: acknowledgements.positions)
      return acknowledgements.positions["user:u"]?.offset ?? cursor
    }

    mutating func receive(_ frame: ServerFrame) {
      for item in inbox.take(frame) ?? [] { queue.append(item) }
    }

    mutating func read() {
      let update = queue.next(for: reader) { if case .event = $0 { true } else { false } }
      if case .event(let event)? = update { shown[shown.count - 1].append(event.offset ?? 0) }
      collect()
    }

    mutating func collect() {
      for reached in queue.processed(0) { acknowledgements.add(reached, now: 0) }
    }

    /// - `reaches`: whether the server hears of it.
    mutating func flush(reaches: Bool) {
      for (_, position) in acknowledgements.take(isConnected: true) where reaches {
        cursor = max(cursor, position.offset)
      }
      kept = acknowledgements.positions
    }

    mutating func startAnew() {
      inbox = Inbox(userID: "u", positions: kept)
      acknowledgements = Acknowledgements(positions: kept)
      queue = UpdateQueue()
      reader = queue.addReader()
      shown.append([])
    }
  }

  private func event(_ offset: UInt64, isFirst: Bool) -> ServerFrame {
    .event(
      Delivery(
        topic: "user:u", offset: offset, epoch: isFirst ? Self.epoch : nil, skipped: nil, isAhead: false,
        event: ReceivedEvent(
          eventID: "e\(offset)", type: "chat_message", payload: .emptyObject, timestampMilliseconds: 1,
          priority: .normal), text: .emptyObject))
  }

  @Test func showsEverythingInOrderAndTwiceOnlyWhatACrashLeftUnsaved() { for seed in 0..<300 { check(seed) } }

  private func check(_ seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    var world = World()
    /// What each run may show again: what lay behind the file when the one before crashed.
    var savedBefore: [UInt64] = [0]
    func chance(_ of: Int) -> Bool { Int.random(in: 0..<of, using: &random) == 0 }

    // A client that left something out would never come to the end.
    var rounds = 0
    while (world.shown.flatMap(\.self).max() ?? 0) < Self.count, rounds < 10_000 {
      rounds += 1
      let start = world.connect()
      var next = start + 1
      while !chance(12) {
        if next <= Self.count, !chance(3) {
          world.receive(event(next, isFirst: next == start + 1))
          next += 1
        }
        if !chance(3) { world.read() }
        if chance(4) { world.flush(reaches: !chance(3)) }
      }
      guard chance(4) else { continue }
      if chance(2) {
        // Ends well: what was taken is processed, and saved.
        world.queue.finish(world.reader)
        world.collect()
        world.flush(reaches: true)
      }
      savedBefore.append(world.kept["user:u"]?.offset ?? world.cursor)
      world.startAnew()
    }

    var highest: UInt64 = 0
    for (run, shown) in world.shown.enumerated() {
      guard let first = shown.first, let last = shown.last else { continue }
      #expect(shown == Array(first...last), "seed \(seed): run \(run) is in order, without a hole and without a double")
      #expect(first <= highest + 1, "seed \(seed): run \(run) leaves nothing out")
      #expect(first > savedBefore[run], "seed \(seed): run \(run) shows again what was saved")
      highest = max(highest, last)
    }
    #expect(highest == Self.count, "seed \(seed)")
  }
}
