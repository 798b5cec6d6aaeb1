import AvaloMetrics
import AvaloSystem
import AvaloWorker
import Logging
import NIOCore

/// Carries events from the log to the endpoint: reads what there is room for, posts what may go, and acknowledges what is
/// done. Confined to the worker's loop.
///
///     log ── page ─▸ queue ── begin ─▸ presence ─▸ post ─▸ endpoint's verdict ─▸ done
///                      ▴                                     │
///                      ├───── again, later ◂─────────────────┤
///                      └─ given up ─▸ dead letter ─▸ done ◂──┘
///
/// What is acknowledged is the log's own memory of where we are: this process keeps no file, and whatever it was about
/// when it died is read, and posted, again.
final class Courier {
  let context: WorkerContext
  let metrics: WebhookMetrics
  let log: Logger
  var settings: WebhookSettings
  var poster: Poster
  var queue = DeliveryQueue(after: 0)
  var reading = LogReading()
  var endpoint = EndpointState()
  var random = SystemRandomNumberGenerator()
  lazy var follower = FollowerLink(name: context.name, types: settings.types, delegate: self, log: log)
  let presence: PresenceDesk
  /// Counts queues: what comes back for an earlier one concerns nobody.
  private(set) var life = 0
  /// Posts under way, by the event's sequence.
  var posts: [UInt64: Task<Void, Never>] = [:]
  /// Dead letters on their way into the log, by the number of their publish.
  var letters: [UInt32: UInt64] = [:]
  private var timer: RepeatedTask?
  private var drained: EventLoopPromise<Void>?
  private var isDraining = false

  init(_ context: WorkerContext, _ settings: WebhookSettings, _ poster: Poster) {
    self.context = context
    self.settings = settings
    self.poster = poster
    log = context.log
    metrics = WebhookMetrics(context.metrics)
    presence = PresenceDesk(log: context.log)
  }

  var now: Int64 { Int64(context.monotonicClock.now.nanoseconds / 1_000_000) }

  // MARK: - Its life

  func start() {
    follower.start(context)
    presence.start(context)
    let period = TimeAmount.milliseconds(WebhookLimits.tickMilliseconds)
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    timer = context.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in bound.value.tick() }
  }

  func apply(_ settings: WebhookSettings, _ poster: Poster) {
    let types = self.settings.types
    self.settings = settings
    self.poster = poster
    // It may be another, or mended: it is not left alone for what the one before has said.
    endpoint = EndpointState()
    if types != settings.types { follower.follow(settings.types) }
    pump()
  }

  /// Begins nothing new; succeeds when what is under way has ended, or has been cut at the deadline.
  func drain(until deadline: MonotonicInstant) -> EventLoopFuture<Void> {
    isDraining = true
    let promise = context.eventLoop.makePromise(of: Void.self)
    drained = promise
    let time = deadline - context.monotonicClock.now - WebhookLimits.goodbyeTime
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: .nanoseconds(time.nanoseconds)) { bound.value.endDrain() }
    settle()
    return promise.futureResult
  }

  private func endDrain() {
    guard drained != nil else { return }
    cutPosts()
    drained?.succeed()
    drained = nil
  }

  func stop() {
    timer?.cancel()
    acknowledge()
    follower.stop()
    presence.stop()
  }

  /// What is under way is nobody's: another queue has its events, or nobody.
  func cutPosts() {
    life += 1
    for post in posts.values { post.cancel() }
    posts.removeAll()
    letters.removeAll()
  }

  // MARK: - Its turns

  /// Whether something may begin: without the log's word it may have been erased.
  var mayBegin: Bool { !isDraining && follower.isFollowing }

  func pump() {
    if mayBegin {
      while endpoint.mayPost(inFlight: queue.inFlight, concurrency: settings.concurrency, at: now),
        let item = queue.next(at: now)
      { begin(item) }
      if queue.hasRoom, reading.wantsPage(after: queue.read, at: now), follower.read(after: queue.read) {
        reading.asked()
      }
    }
    settle()
  }

  private func settle() {
    guard isDraining, queue.inFlight == 0 else { return }
    drained?.succeed()
    drained = nil
  }

  private func tick() {
    presence.tick(at: now)
    pump()
    acknowledge()
    let age = queue.oldest.map { context.wallClock.milliseconds - $0.acceptedMilliseconds } ?? 0
    metrics.lagSeconds.set(Double(max(0, age)) / 1000)
    metrics.waiting.set(queue.count)
    metrics.isPaused.set(endpoint.isPaused ? 1 : 0)
  }

  private func acknowledge() {
    guard follower.isFollowing, reading.acknowledge(queue.acknowledged) else { return }
    follower.acknowledge(queue.acknowledged)
  }
}
