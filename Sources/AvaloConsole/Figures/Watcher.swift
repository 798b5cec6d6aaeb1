import AvaloSystem
import Logging

/// Looks at the metrics again and again, and remembers what they told.
actor Watcher {
  private let control: ControlSocket
  private let clock: MonotonicClock
  private let wall: WallClock
  private let log: Logger
  private var meter = Meter()
  private(set) var history = History()
  private(set) var usages: [String: WorkerUsage] = [:]
  private var lookedAt: MonotonicInstant?
  private var isAway = false

  init(_ control: ControlSocket, clock: MonotonicClock, wall: WallClock, log: Logger) {
    self.control = control
    self.clock = clock
    self.wall = wall
    self.log = log
  }

  /// Returns when its task is cancelled.
  /// - `interval`: asked anew for each look.
  func run(every interval: @Sendable () -> Duration) async {
    while !Task.isCancelled {
      await look()
      do { try await Task.sleep(for: interval()) } catch { return }
    }
  }

  private func look() async {
    do throws(ControlSocket.Trouble) {
      take(try await control.get("/metrics"))
      if isAway { log.notice("avalod answers again") }
      isAway = false
    } catch {
      guard !Task.isCancelled else { return }
      history.addNothing(at: wall.milliseconds, milliseconds: milliseconds)
      if !isAway { log.warning("no metrics to show", metadata: ["error": "\(error.message)"]) }
      isAway = true
    }
  }

  private func take(_ body: [UInt8]) {
    let page = MetricsPage(body, of: Watcher.names)
    let now = clock.now
    usages = WorkerUsage.read(page, before: usages, seconds: lookedAt.map { (now - $0).inSeconds } ?? 0)
    lookedAt = now
    meter.take(page)
    history.add(at: wall.milliseconds, milliseconds: milliseconds, meter.totals, page)
  }

  private var milliseconds: Int64 { Int64(clock.now.nanoseconds / 1_000_000) }

  private static let names = Meter.series.union(WorkerUsage.series.keys).union([
    "avalo_memory_limit_bytes", "avalo_memory_used_bytes", "avalo_connections",
  ])
}
