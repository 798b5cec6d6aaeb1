import AvaloStore
import AvaloSystem
import Logging
import Synchronization

/// Something made on one thread and used on another from then on.
///
/// Sendable because the maker lets go of it before the thread that uses it is started, which orders the two.
struct HandedOver<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

/// The thread that owns the log: feeds the core with what has come since its last turn, hands out what comes of it, and
/// lets it clean up in between.
final class Engine: Sendable {
  private let queue: CommandQueue<Command>
  private let groupMax: Int
  private let metrics: SchedulerMetrics
  private let wall: WallClock
  private let monotonic: MonotonicClock
  private let log: Logger
  private let turned = Atomic(true)
  private let presentGeneration = Atomic<UInt32>(0)
  private let ended = CommandQueue<Void>(max: 1)

  init(
    _ settings: SchedulerSettings, metrics: SchedulerMetrics, wall: WallClock, monotonic: MonotonicClock, log: Logger
  ) {
    queue = CommandQueue(max: settings.queueMax)
    groupMax = settings.groupMax
    self.metrics = metrics
    self.wall = wall
    self.monotonic = monotonic
    self.log = log
  }

  /// Starts the thread, which keeps the core. `output` is called on it after each turn. Throws when the
  /// system has no thread left.
  func start(
    _ core: HandedOver<SchedulerCore>, output: @escaping @Sendable (TurnOutput) -> Void
  ) throws(SystemError) {
    presentGeneration.store(core.value.generation, ordering: .relaxed)
    try SystemThread.start(name: "log-engine", stackBytes: 4 << 20) { self.run(core.value, output) }
  }

  /// The log's generation, as of the last turn that was handed out.
  var generation: UInt32 { presentGeneration.load(ordering: .relaxed) }

  /// False when the engine has too much to do and the command may be refused, or when it stops.
  func post(_ command: Command) -> Bool { queue.post(command, mayRefuse: command.request != nil) }

  /// For the watchdog: whether a turn has ended since the last time.
  func hasTurned() -> Bool { turned.exchange(false, ordering: .relaxed) }

  /// Takes what is queued, closes the log in good order, and returns when that is done.
  func stop() {
    queue.close()
    _ = ended.take(limit: 1, waitMilliseconds: SchedulerLimits.stopMilliseconds)
  }

  var now: Moment {
    Moment(wall: wall.milliseconds, monotonic: Int64(monotonic.now.nanoseconds / 1_000_000))
  }

  private func run(_ core: SchedulerCore, _ output: (TurnOutput) -> Void) {
    var isBusy = false
    while true {
      let wait = isBusy ? 0 : max(0, min(SchedulerLimits.idleMilliseconds, core.deadline - now.monotonic))
      guard let commands = queue.take(limit: groupMax, waitMilliseconds: wait) else { break }
      let produced = core.turn(commands, at: now)
      // Before its heads go out: who links after them is told the same generation.
      presentGeneration.store(core.generation, ordering: .relaxed)
      if !produced.isEmpty { output(produced) }
      let waiting = queue.count
      metrics.queueDepth.set(waiting)
      isBusy = core.housekeep(isIdle: waiting == 0, at: now)
      turned.store(true, ordering: .relaxed)
    }
    do throws(LogError) {
      try core.stop()
    } catch {
      log.error("the event log was not closed in good order", metadata: ["reason": "\(error)"])
    }
    _ = ended.post((), mayRefuse: false)
  }
}
