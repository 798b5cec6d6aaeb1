import AvaloCore
import AvaloMetrics
import AvaloSystem
import AvaloWire
import AvaloWorker
import Logging
import NIOCore

/// Carries events from the log to the endpoint: reads what there is room for, posts what may go, and acknowledges what is
/// done. Confined to the worker's loop.
///
/// What is acknowledged is the log's own memory of where we are: this process keeps no file, and whatever it was about
/// when it died is read, and posted, again.
final class Courier: FollowerDelegate {
  private let context: WorkerContext
  private let metrics: WebhookMetrics
  private let log: Logger
  private var settings: WebhookSettings
  private var poster: Poster
  private var queue = DeliveryQueue(after: 0)
  private var endpoint = EndpointState()
  private var random = SystemRandomNumberGenerator()
  private lazy var follower = FollowerLink(name: context.name, types: settings.types, delegate: self, log: log)
  private let presence: PresenceDesk
  private var timer: RepeatedTask?
  private var generation: UInt32 = 0
  /// Counts queues: what comes back for an earlier one concerns nobody.
  private var life = 0
  /// Up to where the log is known to hold something for us.
  private var head: UInt64 = 0
  private var missed: UInt64 = 0
  private var mayReadMore = false
  /// The page that was asked for and has not come; `nil` while one that comes would be of no use.
  private var reading: PageUnderWay?
  private var acknowledged: UInt64 = 0
  /// Posts under way, by the event's sequence.
  private var posts: [UInt64: Task<Void, Never>] = [:]
  /// Dead letters on their way into the log, by the number of their publish.
  private var letters: [UInt32: UInt64] = [:]
  private var isDraining = false
  private var drained: EventLoopPromise<Void>?

  init(_ context: WorkerContext, _ settings: WebhookSettings, _ poster: Poster) {
    self.context = context
    self.settings = settings
    self.poster = poster
    log = context.log
    metrics = WebhookMetrics(context.metrics)
    presence = PresenceDesk(log: context.log)
  }

  private var now: Int64 { Int64(context.monotonicClock.now.nanoseconds / 1_000_000) }

  func start() {
    follower.start(context)
    presence.start(context)
    let period = TimeAmount.milliseconds(WebhookLimits.tickMilliseconds)
    timer = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { [weak self] _ in self?.tick()
    }
  }

  func apply(_ settings: WebhookSettings, _ poster: Poster) {
    let types = self.settings.types
    self.settings = settings
    self.poster = poster
    if types != settings.types { follower.follow(settings.types) }
    pump()
  }

  /// Begins nothing new; succeeds when what is under way has ended.
  func drain() -> EventLoopFuture<Void> {
    isDraining = true
    let promise = context.eventLoop.makePromise(of: Void.self)
    drained = promise
    settle()
    return promise.futureResult
  }

  func stop() {
    timer?.cancel()
    acknowledge()
    follower.stop()
    presence.stop()
  }

  // MARK: - From the log

  func following(_ following: Following) {
    life += 1
    // They would run beside the posts that follow, and no erasure would reach them.
    for post in posts.values { post.cancel() }
    posts.removeAll()
    letters.removeAll()
    // A page that is still on its way was asked for by the one we were.
    reading = nil
    if generation != following.generation || queue.read < following.acknowledged {
      // Another log, or another place in it: what was read here means nothing there.
      generation = following.generation
      queue = DeliveryQueue(after: following.acknowledged)
      acknowledged = following.acknowledged
      head = following.acknowledged
      log.notice(
        "following the log", metadata: ["generation": "\(generation)", "sequence": "\(following.acknowledged)"])
    } else {
      // It forgot at most the last moments of what it was told, and may have erased what is here.
      queue.readAgain(after: following.acknowledged)
      acknowledged = min(acknowledged, following.acknowledged)
    }
    missed = following.missed
    mayReadMore = true
    pump()
  }

  func grew(_ grew: FollowedGrew) {
    head = max(head, grew.sequence)
    if grew.missed > missed {
      metrics.skipped.with(WebhookMetrics.Skip.missed.rawValue).add(Int(grew.missed - missed))
      missed = grew.missed
    }
    pump()
  }

  func page(_ page: FollowedPage) {
    guard let reading else {
      mayReadMore = true
      return pump()
    }
    self.reading = nil
    mayReadMore = page.through > queue.read
    if page.gone > 0 { metrics.skipped.with(WebhookMetrics.Skip.expired.rawValue).add(Int(page.gone)) }
    let wanted = page.rows.filter { isWanted($0.topic) }
    let rows = wanted.filter { !reading.isErased($0.topic, $0.offset) }
    if rows.count < wanted.count {
      metrics.skipped.with(WebhookMetrics.Skip.erased.rawValue).add(wanted.count - rows.count)
    }
    let events = rows.map { row in
      WebhookEvent(
        generation: generation, sequence: row.sequence, topic: row.topic, offset: row.offset, record: row.record)
    }
    queue.add(events.filter { !$0.isDeadLetter }, through: page.through)
    pump()
  }

  func erased(_ erased: FollowedErased) {
    let forgotten = queue.forget(erased.topic, upTo: erased.upTo)
    metrics.skipped.with(WebhookMetrics.Skip.erased.rawValue).add(forgotten)
    if reading?.erase(erased.topic, upTo: erased.upTo) == false { reading = nil }
    // It may wait for a connection all the time that a post may take.
    for (sequence, post) in posts where queue[sequence]?.isErased == true { post.cancel() }
    pump()
  }

  func readFailed() {
    // The next tick reads again.
    reading = nil
    mayReadMore = true
    for sequence in letters.values { postpone(sequence) }
    letters.removeAll()
  }

  func published(_ number: UInt32, _ result: Result<Void, Failed>) {
    guard let sequence = letters.removeValue(forKey: number) else { return }
    switch result {
    case .success: buried(sequence)
    // It is there already.
    case .failure(let failed) where failed.code == .alreadyExists: buried(sequence)
    case .failure(let failed) where failed.code == .unavailable: postpone(sequence)
    case .failure(let failed):
      log.error("the log refuses a dead letter: the event is dropped", metadata: ["reason": "\(failed.message)"])
      buried(sequence)
    }
    pump()
  }

  /// Nothing that goes to the dead letters comes back.
  private func isWanted(_ topic: Topic) -> Bool {
    topic != settings.deadLetterTopic && (settings.kinds.isEmpty || settings.kinds.contains(String(topic.kind)))
  }

  // MARK: - To the endpoint

  private func tick() {
    presence.tick(at: now)
    pump()
    acknowledge()
    let age = queue.oldest.map { context.wallClock.milliseconds - $0.acceptedMilliseconds } ?? 0
    metrics.lagSeconds.set(Double(max(0, age)) / 1000)
    metrics.waiting.set(queue.count)
    metrics.isPaused.set(endpoint.isPaused ? 1 : 0)
  }

  private func pump() {
    if !isDraining {
      while endpoint.mayPost(inFlight: queue.inFlight, concurrency: settings.concurrency, at: now),
        let item = queue.next(at: now)
      { begin(item) }
      if queue.hasRoom, mayReadMore || head > queue.read, follower.read(after: queue.read) {
        reading = PageUnderWay()
      }
    }
    settle()
  }

  private func settle() {
    guard isDraining, queue.inFlight == 0 else { return }
    drained?.succeed()
    drained = nil
  }

  private func acknowledge() {
    guard queue.acknowledged > acknowledged, follower.isFollowing else { return }
    acknowledged = queue.acknowledged
    follower.acknowledge(acknowledged)
  }

  private func begin(_ item: DeliveryQueue.Item) {
    guard !item.isErased else { return skip(item, .erased) }
    guard item.givenUp == nil else { return bury(item) }
    guard item.event.expiresMilliseconds > context.wallClock.milliseconds else { return expired(item) }
    guard settings.onlyOffline, item.event.topic.isInbox else { return post(item) }
    let life = self.life
    presence.ask(String(item.event.topic.id), at: now) { [weak self] isConnected in
      guard let self, life == self.life else { return }
      if queue[item.event.sequence]?.isErased == true {
        // Meanwhile.
        skip(item, .erased)
      } else if isConnected == true {
        skip(item, .online)
      } else {
        // Who cannot be asked about gets a post: one too many is better than none.
        post(item)
      }
      // Not before the caller has returned: it may be going through what is ready.
      let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
      context.eventLoop.execute { bound.value.pump() }
    }
  }

  private func skip(_ item: DeliveryQueue.Item, _ reason: WebhookMetrics.Skip) {
    metrics.skipped.with(reason.rawValue).add()
    queue.finish(item.event.sequence)
  }

  private func expired(_ before: DeliveryQueue.Item) {
    var item = before
    item.expire()
    if item.givenUp == nil { skip(item, .expired) } else { queue.wait(item, until: now) }
  }

  private func post(_ item: DeliveryQueue.Item) {
    if item.tried != nil { metrics.retried.add() }
    let (poster, life, started) = (poster, life, now)
    queue.post(item.event.sequence, at: started)
    let bound = NIOLoopBound((self, item), eventLoop: context.eventLoop)
    let (id, body, eventLoop) = (item.event.id, item.event.body(), context.eventLoop)
    // Ends with the endpoint's answer, or its timeout; cancelled when the event is nobody's any more.
    posts[item.event.sequence] = Task {
      let outcome = await poster.post(id: id, body: body)
      eventLoop.execute { bound.value.0.posted(bound.value.1, at: started, outcome, life) }
    }
  }

  private func posted(_ before: DeliveryQueue.Item, at started: Int64, _ outcome: Outcome, _ life: Int) {
    guard life == self.life else { return }
    posts[before.event.sequence] = nil
    if queue[before.event.sequence]?.isErased == true, outcome != .taken {
      // Cut off, which says nothing of the endpoint.
      skip(before, .erased)
      return pump()
    }
    metrics.postSeconds.observe(seconds: Double(now - started) / 1000)
    var item = before
    item.post(at: started)
    let wasPaused = endpoint.isPaused
    switch outcome {
    case .taken:
      endpoint.answered(at: now)
      metrics.sent.add()
      queue.finish(item.event.sequence)
    case .refused(_, let retryAfter):
      endpoint.answered(at: now)
      metrics.failed.with(WebhookMetrics.Failure.refused.rawValue).add()
      failed(item, outcome, retryAfter: retryAfter)
    case .unavailable(_, let retryAfter):
      metrics.failed.with(WebhookMetrics.Failure.unavailable.rawValue).add()
      // The endpoint is away; but if it has answered others since this event's last attempt, then it is this event.
      if let tried = before.tried, endpoint.hasAnswered(since: tried) {
        failed(item, outcome, retryAfter: retryAfter)
      } else {
        endpoint.unavailable(since: started, at: now, retryAfter: retryAfter, settings.backoff, using: &random)
        failed(item, outcome, retryAfter: retryAfter, counts: false)
      }
    }
    if wasPaused != endpoint.isPaused { notePause(outcome) }
    pump()
  }

  private func notePause(_ outcome: Outcome) {
    if endpoint.isPaused {
      log.warning("the endpoint is not available: events wait", metadata: ["reason": "\(outcome.reason)"])
    } else {
      log.notice("the endpoint answers again")
    }
  }

  /// A post came to nothing.
  /// - `counts`: as an attempt of this event, and not as one to find the endpoint there.
  private func failed(_ item: DeliveryQueue.Item, _ outcome: Outcome, retryAfter: Int64?, counts: Bool = true) {
    var item = item
    item.fail(
      outcome.reason, counts: counts, attempts: settings.attempts, patience: settings.giveUpAfter.milliseconds, at: now)
    let waits = counts && item.givenUp == nil
    let delay = waits ? settings.backoff.delay(after: item.attempts, retryAfter: retryAfter, using: &random) : 0
    queue.wait(item, until: now + delay)
  }

  // MARK: - Dead letters

  private func bury(_ item: DeliveryQueue.Item) {
    guard let topic = settings.deadLetterTopic, let reason = item.givenUp else { return buried(item.event.sequence) }
    let letter = Publish(
      owner: "webhook:" + context.name, topic: topic, contentHash: item.event.sequence,
      record: item.event.deadLetter(attempts: item.attempts, reason: reason, at: context.wallClock.milliseconds))
    if let number = follower.publish(letter) {
      letters[number] = item.event.sequence
    } else {
      postpone(item.event.sequence)
    }
  }

  private func postpone(_ sequence: UInt64) {
    guard let item = queue[sequence] else { return }
    queue.wait(item, until: now + WebhookLimits.linkRetryMilliseconds)
  }

  private func buried(_ sequence: UInt64) {
    guard let item = queue[sequence] else { return }
    metrics.dead.add()
    log.warning(
      "an event was given up",
      metadata: [
        "webhook_id": "\(item.event.id)", "attempts": "\(item.attempts)", "reason": "\(item.givenUp ?? "")",
      ])
    queue.finish(sequence)
  }
}
