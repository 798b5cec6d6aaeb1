import AvaloCore
import AvaloWire
import Testing

@testable import AvaloWebhook

@Suite struct LogReadingTests {
  private var reading = LogReading()

  private mutating func follow(_ generation: UInt32, acknowledged: UInt64, missed: UInt64 = 0, read: UInt64) -> Bool {
    reading.follow(Following(generation: generation, acknowledged: acknowledged, missed: missed), read: read)
  }

  @Test mutating func goesOnInTheLogItKnowsAndBeginsInAnother() {
    let outcomes = [
      follow(7, acknowledged: 10, read: 0), follow(7, acknowledged: 10, read: 15),
      follow(7, acknowledged: 16, read: 15),
      follow(8, acknowledged: 3, read: 20),
    ]
    #expect(outcomes == [false, true, false, false] && reading.generation == 8)
  }

  @Test mutating func readsUntilAPageEndsWhereItBegan() {
    _ = follow(7, acknowledged: 10, read: 0)
    #expect(reading.wantsPage(after: 10, at: 0), "there may be something")
    reading.asked()
    #expect(reading.came(through: 15, from: 10) != nil)
    #expect(reading.wantsPage(after: 15, at: 0))
    reading.asked()
    #expect(reading.came(through: 15, from: 15) != nil)
    #expect(!reading.wantsPage(after: 15, at: 0))
    reading.grow(to: 16)
    #expect(reading.wantsPage(after: 15, at: 0) && !reading.wantsPage(after: 16, at: 0))
  }

  @Test mutating func aPageThatOthersAskedForIsOfNoUse() {
    _ = follow(7, acknowledged: 10, read: 0)
    reading.asked()
    _ = follow(7, acknowledged: 10, read: 10)
    #expect(reading.came(through: 15, from: 10) == nil && reading.wantsPage(after: 10, at: 0))
  }

  @Test mutating func aPageWithTooManyErasuresIsOfNoUse() {
    _ = follow(7, acknowledged: 10, read: 0)
    reading.asked()
    reading.erase(Topic("user:ann")!, upTo: 5)
    #expect(reading.came(through: 10, from: 10)?.isErased(Topic("user:ann")!, 5) == true)
    reading.asked()
    for user in 0...WebhookLimits.erasuresMax { reading.erase(Topic("user:\(user)")!, upTo: 1) }
    #expect(reading.came(through: 10, from: 10) == nil && reading.wantsPage(after: 10, at: 0))
  }

  @Test mutating func waitsBeforeItAsksALogThatCannotRead() {
    _ = follow(7, acknowledged: 10, read: 0)
    reading.asked()
    reading.fail(at: 5000)
    let due = 5000 + WebhookLimits.linkRetryMilliseconds
    #expect(!reading.wantsPage(after: 10, at: due - 1) && reading.wantsPage(after: 10, at: due))
    // Another link may find it mended.
    _ = follow(7, acknowledged: 10, read: 10)
    #expect(reading.wantsPage(after: 10, at: 5000))
  }

  @Test mutating func countsWhatWasDroppedOnce() {
    _ = follow(7, acknowledged: 10, read: 0)
    // What was dropped before it came is nobody's loss here; what is dropped while the link is away is.
    let counts = [reading.miss(100), reading.miss(100), reading.miss(130), reading.miss(120)]
    #expect(counts == [0, 0, 30, 0])
    _ = follow(7, acknowledged: 10, read: 10)
    let later = reading.miss(140)
    _ = follow(8, acknowledged: 10, read: 10)
    let another = reading.miss(500)
    #expect(later == 20 && another == 0)
  }

  @Test mutating func tellsTheLogWhatIsNewToIt() {
    _ = follow(7, acknowledged: 10, read: 0)
    let told = [reading.acknowledge(10), reading.acknowledge(12), reading.acknowledge(12)]
    // It crashed, and has forgotten the last moment.
    _ = follow(7, acknowledged: 10, read: 12)
    let again = reading.acknowledge(12)
    #expect(told == [false, true, false] && again)
  }
}
