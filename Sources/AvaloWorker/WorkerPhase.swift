import Glibc
import Synchronization

/// What happens to a worker process.
enum WorkerEvent<W: Worker>: Sendable {
  case signal(Int32)
  case started(Result<W, any Error>)
  case reloaded
  case drained
  case deadlinePassed
}

/// What is to be done about it.
enum WorkerAction<W: Worker>: Sendable {
  case sayReady
  case reload(W)
  case sayReloaded
  case drain(W)
  case fail(any Error)
  /// The drain's time is up.
  case giveUp
  /// A second SIGTERM.
  case hurry
  case exit
}

/// Where a worker process is in its life. Pure: events in, actions out.
enum WorkerPhase<W: Worker>: Sendable {
  /// `reload`: SIGHUP came meanwhile; the settings may have been read before it.
  case starting(reload: Bool)
  case serving(W)
  /// `again`: SIGHUP came meanwhile.
  case reloading(W, again: Bool)
  case draining
  case ended

  mutating func take(_ event: WorkerEvent<W>) -> [WorkerAction<W>] {
    switch (self, event) {
    case (.ended, _): return []

    case (.starting(let reload), .started(.success(let worker))):
      self = reload ? .reloading(worker, again: false) : .serving(worker)
      return reload ? [.sayReady, .reload(worker)] : [.sayReady]
    case (.starting, .started(.failure(let error))):
      self = .ended
      return [.fail(error)]
    case (.starting, .signal(SIGHUP)):
      self = .starting(reload: true)
      return []
    case (.starting, .signal):
      // Nothing was promised to anybody yet.
      self = .ended
      return [.exit]

    case (.serving(let worker), .signal(SIGHUP)):
      self = .reloading(worker, again: false)
      return [.reload(worker)]
    case (.reloading(let worker, _), .signal(SIGHUP)):
      self = .reloading(worker, again: true)
      return []
    case (.reloading(let worker, let again), .reloaded):
      self = again ? .reloading(worker, again: false) : .serving(worker)
      return again ? [.sayReloaded, .reload(worker)] : [.sayReloaded]

    case (.serving(let worker), .signal), (.reloading(let worker, _), .signal):
      self = .draining
      return [.drain(worker)]
    case (.draining, .signal(SIGHUP)): return []
    case (.draining, .signal):
      self = .ended
      return [.hurry]
    case (.draining, .drained):
      self = .ended
      return [.exit]
    case (.draining, .deadlinePassed):
      self = .ended
      return [.giveUp]

    // A reload that ends while draining, and what cannot come.
    case (.draining, _), (.serving, _), (.reloading, _), (.starting, _): return []
    }
  }
}

/// What `/healthz` says.
final class Health: Sendable {
  enum State: String, Sendable { case starting, ready, draining }
  private let current = Mutex(State.starting)
  var state: State { current.withLock { $0 } }
  func set(_ state: State) { current.withLock { $0 = state } }
}
