import AvaloCore
import Testing

@testable import AvaloWebhook

@Suite struct DeliveryQueueTests {
  private var queue = DeliveryQueue(after: 10)

  private func event(_ sequence: UInt64, _ topic: String) -> WebhookEvent {
    WebhookEvent(
      generation: 1, sequence: sequence, topic: Topic(topic)!, offset: sequence,
      record: EventFields(
        type: .notification, timestampMilliseconds: 1, acceptedMicroseconds: 1000, eventID: "e\(sequence)",
        payload: Array("{}".utf8)
      ).record())
  }

  private mutating func add(_ events: (UInt64, String)..., through sequence: UInt64) {
    queue.add(events.map { event($0.0, $0.1) }, through: sequence)
  }

  private mutating func next(at now: Int64 = 0) -> UInt64? { queue.next(at: now)?.event.sequence }

  /// The next one, which must be there.
  private mutating func take() throws -> DeliveryQueue.Item {
    let item = queue.next(at: 0)
    return try #require(item)
  }

  @Test mutating func topicsGoSideBySideAndEachInOrder() {
    add((11, "user:a"), (12, "user:b"), (13, "user:a"), (14, "user:a"), through: 20)
    #expect(next() == 11)
    #expect(next() == 12)
    #expect(next() == nil)
    #expect(queue.inFlight == 2)
    queue.finish(11)
    #expect(next() == 13)
    #expect(next() == nil)
    queue.finish(13)
    #expect(next() == 14)
  }

  @Test mutating func isAcknowledgedUpToTheFirstThatIsNotDone() {
    #expect(queue.acknowledged == 10)
    add((11, "user:a"), (12, "user:b"), (13, "user:c"), through: 20)
    for _ in 1...3 { _ = next() }
    #expect(queue.acknowledged == 10)
    queue.finish(12)
    queue.finish(13)
    #expect(queue.acknowledged == 10 && queue.oldest?.sequence == 11 && queue.count == 1)
    queue.finish(11)
    // What was passed over on the page is done, too.
    #expect(queue.acknowledged == 20 && queue.oldest == nil && queue.bytes == 0)
    queue.add([], through: 25)
    #expect(queue.acknowledged == 25)
  }

  @Test mutating func whatWaitsHoldsItsTopicAndNoOther() throws {
    add((11, "user:a"), (12, "user:b"), (13, "user:a"), through: 13)
    var item = try take()
    item.attempts = 3
    queue.wait(item, until: 500)
    #expect(next() == 12)
    queue.finish(12)
    #expect(next(at: 499) == nil)
    #expect(queue.next(at: 500)?.attempts == 3)
    queue.finish(11)
    #expect(next(at: 500) == 13)
    #expect(queue.inFlight == 1)
  }

  @Test mutating func theSoonestGoesFirst() throws {
    add((11, "user:a"), (12, "user:b"), (13, "user:c"), through: 13)
    for due in [300, 100, 200] as [Int64] { queue.wait(try take(), until: due) }
    #expect([next(at: 1000), next(at: 1000), next(at: 1000)] == [12, 13, 11])
  }

  @Test mutating func takesNothingTwice() {
    add((11, "user:a"), through: 11)
    add((11, "user:a"), (12, "user:a"), through: 12)
    #expect(queue.count == 2)
  }

  @Test mutating func hasRoomUpToItsBounds() {
    var sequence: UInt64 = 10
    while queue.hasRoom {
      sequence += 1
      add((sequence, "user:a"), through: sequence)
    }
    #expect(queue.count == WebhookLimits.eventsMax)
    _ = next()
    queue.finish(11)
    #expect(queue.hasRoom)
  }

  // MARK: - Reading anew

  /// The log is back: what was done behind an undone event is not posted again, and that one has no new beginning.
  @Test mutating func whatIsReadAnewIsWhereItWas() throws {
    add((11, "user:a"), (12, "user:b"), (13, "user:a"), (14, "user:c"), (15, "user:d"), through: 20)
    var poison = try take()
    poison.post(at: 100)
    poison.fail("HTTP 500", counts: true, attempts: 3, patience: 1000, at: 110)
    queue.wait(poison, until: 500)
    #expect([next(), next(), next()] == [12, 14, 15])
    queue.finish(12)
    queue.post(14, at: 120)
    queue.finish(15)

    queue.readAgain(after: 3)
    #expect(queue.acknowledged == 10 && queue.read == 10 && queue.inFlight == 0 && queue.bytes == 0)
    // In two pages, and again in between; what was under way is posted again, and remembers that it was.
    add((11, "user:a"), (12, "user:b"), (13, "user:a"), through: 13)
    queue.readAgain(after: 10)
    add((11, "user:a"), (12, "user:b"), (13, "user:a"), through: 13)
    #expect(next(at: 499) == nil, "its delay goes on")
    add((14, "user:c"), (15, "user:d"), (16, "user:e"), through: 20)
    #expect(queue.count == 4)
    let cut = queue.next(at: 499)
    #expect(cut?.event.sequence == 14 && cut?.began == 120 && cut?.attempts == 0)
    #expect(next(at: 499) == 16)
    let again = queue.next(at: 500)
    #expect(again?.event.sequence == 11 && again?.attempts == 1 && again?.began == 100 && again?.failure == "HTTP 500")
    for sequence: UInt64 in [11, 14, 16] { queue.finish(sequence) }
    #expect(next(at: 500) == 13)
    queue.finish(13)
    #expect(queue.acknowledged == 20 && queue.bytes == 0 && queue.inFlight == 0)
  }

  @Test mutating func whatIsGoneWhenItIsReadAnewIsDone() throws {
    add((11, "user:a"), (12, "user:a"), (13, "user:b"), through: 13)
    queue.wait(try take(), until: 500)
    queue.readAgain(after: 0)
    add((13, "user:b"), through: 13)
    #expect(queue.count == 1 && queue.acknowledged == 12)
    #expect(next(at: 500) == 13)
    // What was done at the end of it leaves nothing to wait for.
    queue.finish(13)
    queue.readAgain(after: 0)
    #expect(queue.acknowledged == 13)
  }

  // MARK: - Erasing

  /// A page may have been read before the inbox was erased, and come after that was told.
  @Test func aPageUnderWayHoldsNothingThatWasErasedMeanwhile() {
    var page = PageUnderWay()
    let (ann, bob) = (Topic("user:ann")!, Topic("user:bob")!)
    #expect(!page.isErased(ann, 1))
    let isOfUse = page.erase(ann, upTo: 5)
    _ = page.erase(ann, upTo: 3)
    #expect(isOfUse && page.isErased(ann, 5) && !page.isErased(ann, 6) && !page.isErased(bob, 1))
    var last = true
    for user in 0..<WebhookLimits.erasuresMax { last = page.erase(Topic("user:\(user)")!, upTo: 1) }
    #expect(!last, "it is read again")
  }

  @Test mutating func whatIsErasedGoesAndTheRestOfTheTopicGoesOn() throws {
    add((11, "user:a"), (12, "user:a"), (13, "user:b"), (14, "user:a"), (15, "user:a"), through: 20)
    let first = try take()
    #expect(queue.forget(Topic("user:a")!, upTo: 14) == 2, "the one under way ends first")
    #expect(queue.forget(Topic("user:zoe")!, upTo: 99) == 0)
    #expect(queue.count == 3 && queue.bytes == 3 * event(11, "user:a").record.count)
    #expect(next() == 13)
    // Its post came to nothing: it is not tried again.
    queue.wait(first, until: 50)
    #expect(queue.next(at: 50)?.isErased == true)
    queue.finish(11)
    #expect(next(at: 50) == 15)
    queue.finish(13)
    queue.finish(15)
    #expect(queue.acknowledged == 20 && queue.bytes == 0)
  }

  /// However long it was to wait: nothing of it is kept, and nothing waits for it.
  @Test mutating func whatWaitsIsErasedAtOnce() throws {
    add((11, "user:a"), (12, "user:a"), (13, "user:b"), (14, "user:c"), through: 14)
    queue.wait(try take(), until: 500)
    #expect(queue.forget(Topic("user:a")!, upTo: 11) == 1)
    #expect(
      queue.acknowledged == 11 && [next(), next()] == [13, 14], "of its topic the next goes behind what was ready")
    #expect(next() == 12)
    #expect(queue.forget(Topic("user:b")!, upTo: 13) == 0, "it is under way")
    queue.finish(13)
    // Ready, and not begun.
    add((15, "user:b"), through: 20)
    #expect(queue.forget(Topic("user:b")!, upTo: 15) == 1)
    queue.finish(12)
    queue.finish(14)
    #expect(next(at: 500) == nil && queue.acknowledged == 20 && queue.bytes == 0 && queue.inFlight == 0)
  }

  @Test func knowsADeadLetterOfAnyWebhook() throws {
    var lost = event(12, "user:a")
    #expect(!lost.isDeadLetter)
    lost.record = lost.deadLetter(attempts: 3, reason: "HTTP 500", at: 1)
    #expect(lost.isDeadLetter)
  }

  // MARK: - Giving up

  private func item(began: Int64) -> DeliveryQueue.Item {
    var item = DeliveryQueue.Item(event: event(11, "user:a"))
    item.post(at: began)
    return item
  }

  @Test func isGivenUpAfterItsLastAttempt() {
    var item = item(began: 100)
    for attempt in 1...3 {
      #expect(item.givenUp == nil)
      item.fail("HTTP 500", counts: true, attempts: 3, patience: 1000, at: 50_000)
      #expect(item.attempts == attempt)
    }
    #expect(item.givenUp == "HTTP 500")
  }

  /// Alone with an endpoint that always says "not now" it ends too, and costs no attempt until then.
  @Test func isGivenUpAfterTooLongWhenNoAttemptCounts() {
    var item = item(began: 100)
    for now: Int64 in [100, 500, 1099] {
      item.fail("HTTP 503", counts: false, attempts: 3, patience: 1000, at: now)
      #expect(item.givenUp == nil && item.attempts == 0)
      item.post(at: now)
    }
    #expect(item.began == 100 && item.tried == 1099)
    item.fail("HTTP 503", counts: false, attempts: 3, patience: 1000, at: 1100)
    #expect(item.givenUp == "HTTP 503" && item.attempts == 0)
  }

  /// What waited through an outage without being tried has all its time before it.
  @Test func whatWasNotTriedIsNotOld() {
    var late = item(began: 90_000)
    late.fail("HTTP 503", counts: false, attempts: 3, patience: 1000, at: 90_010)
    #expect(late.givenUp == nil)
  }

  @Test func whatExpiresUntriedIsNobodysAndTheRestIsTold() {
    var untried = DeliveryQueue.Item(event: event(11, "user:a"))
    untried.expire()
    #expect(untried.givenUp == nil)
    var tried = item(began: 100)
    tried.fail("HTTP 503", counts: false, attempts: 3, patience: 1000, at: 200)
    tried.expire()
    #expect(tried.givenUp == "expired after HTTP 503")
  }
}
