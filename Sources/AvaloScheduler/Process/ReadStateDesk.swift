import AvaloCore
import AvaloStore
import AvaloSystem
import AvaloWire
import Logging

/// The thread that answers what users have not read, beside the engine, on a view of its own: counting takes its time, and
/// nothing that is published waits for it. Users have their questions answered in turn.
///
/// A question that comes when too much waits, or has waited too long, is refused: whoever asks goes on without.
final class ReadStateDesk: Sendable {
  struct Request: Sendable {
    var link: LinkID
    var gauge: LinkGauge
    var correlation: UInt32
    var query: QueryReads
    /// Monotonic milliseconds when it came.
    var came: Int64
  }

  private let queue = CommandQueue<Request>(max: SchedulerLimits.readStatesMax)
  private let metrics: SchedulerMetrics
  private let wall: WallClock
  private let monotonic: MonotonicClock
  private let log: Logger

  init(metrics: SchedulerMetrics, wall: WallClock, monotonic: MonotonicClock, log: Logger) {
    self.metrics = metrics
    self.wall = wall
    self.monotonic = monotonic
    self.log = log
  }

  /// Starts the thread. `output` is called on it, with the frames for a link. `key` is the log's.
  func start(
    _ reader: HandedOver<any EventLogReader>, key: SipHash.Key,
    output: @escaping @Sendable ([(link: LinkID, frames: [UInt8])]) -> Void
  ) throws(SystemError) {
    try SystemThread.start(name: "log-unread", stackBytes: 4 << 20) { self.run(reader.value, key, output) }
  }

  /// False when too many wait.
  func ask(_ query: QueryReads, link: LinkID, gauge: LinkGauge, correlation: UInt32) -> Bool {
    queue.post(
      Request(link: link, gauge: gauge, correlation: correlation, query: query, came: now), mayRefuse: true)
  }

  func stop() { queue.close() }

  private var now: Int64 { Int64(monotonic.now.nanoseconds / 1_000_000) }

  private func run(
    _ reader: any EventLogReader, _ key: SipHash.Key, _ output: ([(link: LinkID, frames: [UInt8])]) -> Void
  ) {
    var waiting = TurnQueue<Request>(maxOfOne: SchedulerLimits.readStatesOfUserMax)
    while let arrived = queue.take(
      limit: max(0, SchedulerLimits.readStatesMax - waiting.count),
      waitMilliseconds: waiting.isEmpty ? SchedulerLimits.idleMilliseconds : 0)
    {
      var out = LinkWriters()
      for request in arrived where !waiting.add(request, of: request.query.user) {
        refuse(request, ReadStateDesk.tooMany, &out)
      }
      for _ in 0..<SchedulerLimits.readStatesPerTurn {
        guard let request = waiting.take() else { break }
        answer(request, reader, key, &out)
      }
      if !out.isEmpty { output(out.frames) }
    }
  }

  private func answer(
    _ request: Request, _ reader: any EventLogReader, _ key: SipHash.Key, _ out: inout LinkWriters
  ) {
    guard !request.gauge.hasEnded else { return }
    guard now - request.came < SchedulerLimits.readStateMilliseconds,
      request.gauge.backlogBytes <= SchedulerLimits.linkBacklogBytesMax / 2
    else { return refuse(request, ReadStateDesk.tooLate, &out) }
    let start = ContinuousClock.now
    do throws(LogError) {
      var book = ReadStateBook(reader, key: key, nowMilliseconds: wall.milliseconds)
      let state = try book.answer(request.query)
      metrics.readStateSeconds.observe(ContinuousClock.now - start)
      out.add(request.link, request.gauge) { $0.frame(state, correlation: request.correlation) }
    } catch {
      log.warning("read state cannot be read", metadata: ["reason": "\(error)"])
      refuse(request, SchedulerCore.unreadable, &out)
    }
  }

  private func refuse(_ request: Request, _ failed: Failed, _ out: inout LinkWriters) {
    metrics.refused(.overload)
    out.add(request.link, request.gauge) { $0.frame(failed, correlation: request.correlation) }
  }

  private static let tooMany = Failed(
    .resourceExhausted, "too many questions of this user about what is unread wait: try again",
    retryAfterMilliseconds: 1000)
  private static let tooLate = Failed(
    .unavailable, "what is unread cannot be counted in time at the moment: try again", retryAfterMilliseconds: 2000)
}
