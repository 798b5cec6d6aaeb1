import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct ProgressTests {
  private static let epoch = Epoch(rawValue: 1)

  private func delivery(
    _ offset: UInt64, epoch: Epoch? = nil, skipped: ClosedRange<UInt64>? = nil, ahead: Bool = false
  ) throws -> Delivery {
    let payload = JSONText.emptyObject
    return Delivery(
      topic: "user:u", offset: offset, epoch: epoch,
      skipped: skipped.map { ServerFrame.Gap(topic: "user:u", offsets: $0, reason: "expired", epoch: nil) },
      isAhead: ahead,
      event: ReceivedEvent(
        eventID: "e\(offset)", type: "chat_message", payload: payload, timestampMilliseconds: 1, priority: .normal),
      text: payload)
  }

  /// Has seen everything up to 5.
  private func atFive() throws -> Progress {
    Progress(positions: ["user:u": Position(epoch: ProgressTests.epoch, offset: 5)])
  }

  private func offset(_ progress: Progress) -> UInt64? { progress.positions["user:u"]?.offset }

  @Test func theFirstOffsetOfATopicMayBeAny() throws {
    var progress = Progress()
    #expect(progress.take(try delivery(40, epoch: ProgressTests.epoch)) == .new)
    #expect(progress.take(try delivery(41)) == .new)
    #expect(progress.positions == ["user:u": Position(epoch: ProgressTests.epoch, offset: 41)])
  }

  @Test func leavesOutWhatWasSeen() throws {
    var progress = try atFive()
    #expect(progress.take(try delivery(5)) == .duplicate)
    #expect(progress.take(try delivery(6)) == .new)
    #expect(progress.take(try delivery(6)) == .duplicate)
  }

  @Test func tellsAHoleThatNobodyAnnounced() throws {
    var progress = try atFive()
    #expect(progress.take(try delivery(9)) == .hole(6...8))
    #expect(progress.take(try delivery(10)) == .new)
  }

  @Test func acceptsWhatWasSaidToBeSkipped() throws {
    var progress = try atFive()
    #expect(progress.take(try delivery(9, skipped: 6...8)) == .new)
    #expect(progress.take(try delivery(14, skipped: 12...13)) == .hole(10...13))
  }

  @Test func acceptsAGap() throws {
    var progress = try atFive()
    progress.take(ServerFrame.Gap(topic: "user:u", offsets: 6...7, reason: "evicted", epoch: nil))
    #expect(progress.take(try delivery(8)) == .new)
  }

  @Test func anEventAheadMovesNoPositionAndIsNotExpectedAgain() throws {
    var progress = try atFive()
    #expect(progress.take(try delivery(8, ahead: true)) == .new)
    #expect(offset(progress) == 5)
    #expect(progress.take(try delivery(8, ahead: true)) == .duplicate)
    #expect(progress.take(try delivery(6)) == .new)
    #expect(progress.take(try delivery(7)) == .new)
    // 8 is not written again on this connection.
    #expect(progress.take(try delivery(9)) == .new)
  }

  @Test func anEventThatCameAheadIsADuplicateOnTheNextConnection() throws {
    var progress = try atFive()
    #expect(progress.take(try delivery(7, ahead: true)) == .new)
    #expect(progress.take(try delivery(6)) == .new)
    #expect(progress.take(try delivery(7)) == .duplicate)
    #expect(offset(progress) == 7)
  }

  @Test func anotherEpochBeginsAnew() throws {
    var progress = try atFive()
    progress.take(ServerFrame.Gap(topic: "user:u", offsets: nil, reason: "epoch", epoch: Epoch(rawValue: 2)))
    #expect(progress.positions.isEmpty)
    #expect(progress.take(try delivery(1, epoch: Epoch(rawValue: 2))) == .new)
    #expect(progress.positions["user:u"] == Position(epoch: Epoch(rawValue: 2), offset: 1))
  }

  @Test func liveTellsWhatTheReplayLeftOut() throws {
    var progress = try atFive()
    let head = Position(epoch: ProgressTests.epoch, offset: 8)
    #expect(progress.takeLive(topic: "user:u", head: head) == 6...8)
    #expect(progress.takeLive(topic: "user:u", head: head) == nil)
    #expect(progress.takeLive(topic: "chat:new", head: head) == nil)
    #expect(progress.positions["chat:new"] == head)
  }

  @Test func liveForgivesWhatCameAhead() throws {
    var progress = try atFive()
    _ = progress.take(try delivery(6, ahead: true))
    #expect(progress.takeLive(topic: "user:u", head: Position(epoch: ProgressTests.epoch, offset: 6)) == nil)
  }

  @Test func aServerThatKeepsItsPromisesIsNeverAccused() throws {
    // Random replays with skips, urgent events ahead and reconnects; the model is the list of offsets handled.
    for seed in 0..<200 {
      var random = SplitMix64(seed: UInt64(seed))
      var progress = Progress(positions: ["user:u": Position(epoch: ProgressTests.epoch, offset: 0)])
      var handled: [UInt64] = []
      var told: Set<UInt64> = []
      for _ in 0..<3 {
        var next = (offset(progress) ?? 0) + 1
        var writtenAhead: Set<UInt64> = []
        while next < 60, Int.random(in: 0..<20, using: &random) > 0 {
          if Int.random(in: 0..<8, using: &random) == 0 {
            let urgent = next + UInt64.random(in: 1...5, using: &random)
            if writtenAhead.insert(urgent).inserted, progress.take(try delivery(urgent, ahead: true)) == .new {
              handled.append(urgent)
            }
          }
          var skipped: ClosedRange<UInt64>?
          if Int.random(in: 0..<6, using: &random) == 0, !writtenAhead.contains(next) {
            skipped = next...next
            told.insert(next)
            next += 1
          }
          while writtenAhead.contains(next) { next += 1 }
          switch progress.take(try delivery(next, skipped: skipped)) {
          case .new: handled.append(next)
          case .duplicate: break
          case .hole(let hole): Issue.record("seed \(seed): a hole \(hole) at \(next)")
          }
          next += 1
        }
      }
      #expect(Set(handled).count == handled.count, "seed \(seed): something was handled twice")
      let last = offset(progress) ?? 0
      #expect(
        Set(handled).union(told).isSuperset(of: last == 0 ? [] : Set(1...last)), "seed \(seed): something is missing")
    }
  }

  @Test func theGreatestOffsetIsOneAsWell() {
    var progress = Progress(positions: ["user:u": Position(epoch: ProgressTests.epoch, offset: .max - 2)])
    let head = Position(epoch: ProgressTests.epoch, offset: .max)
    #expect(progress.takeLive(topic: "user:u", head: head) == (UInt64.max - 1)...UInt64.max)
  }
}
