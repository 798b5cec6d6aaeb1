import AvaloSystem
import Logging
import NIOCore
import NIOPosix

/// Tells avalod how we are. The watchdog's tick is a task of the worker's own loop: a loop that does not turn sends none.
/// Sending itself may block for as long as avalod stands still, so it has a thread of its own.
final class Heartbeat: Sendable {
  private let notifier: ServiceNotifier
  private let eventLoop: any EventLoop
  private let liveness: Liveness
  private let log: Logger
  private let sender = NIOThreadPool(numberOfThreads: 1)
  /// One tick at a time is on its way.
  private let sent = Beat()

  init(notifier: ServiceNotifier, eventLoop: any EventLoop, liveness: Liveness, log: Logger) {
    self.notifier = notifier
    self.eventLoop = eventLoop
    self.liveness = liveness
    self.log = log
    sender.start()
  }

  /// Ticks for the rest of the process's life, at a third of the interval: one late tick is no death.
  func start() {
    guard let interval = notifier.watchdogInterval else { return }
    let bound = NIOLoopBoundBox.makeBoxSendingValue([String](), eventLoop: eventLoop)
    let period = TimeAmount.nanoseconds(max(1, interval.nanoseconds / 3))
    eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: period) { [self] _ in
      let failing = liveness.failing()
      if failing != bound.value {
        if failing.isEmpty {
          log.notice("alive again")
        } else {
          log.error("not alive: the watchdog is not fed", metadata: ["parts": "\(failing.joined(separator: ","))"])
        }
        bound.value = failing
      }
      guard failing.isEmpty, sent.take() else { return }
      say {
        $0.watchdog()
        self.sent.set()
      }
    }
  }

  /// Sends something, in the order of the calls.
  func say(_ what: @escaping @Sendable (ServiceNotifier) -> Void) {
    guard notifier.isActive else { return }
    sender.submit { [notifier] _ in what(notifier) }
  }

  /// Returns when everything before was sent.
  func flush() async {
    await withCheckedContinuation { continuation in sender.submit { _ in continuation.resume() } }
  }
}
