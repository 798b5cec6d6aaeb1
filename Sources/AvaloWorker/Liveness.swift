import NIOCore
import Synchronization

/// What must be alive besides the worker's own loop before the watchdog is fed. Any thread adds; the loop asks.
public final class Liveness: Sendable {
  public typealias Probe = @Sendable () -> Bool
  private let probes = Mutex<[(name: String, probe: Probe)]>([])

  init() {}

  /// Asks `probe` at every tick, about twice an interval of the watchdog; it must answer at once. While it says `false`
  /// the watchdog is not fed and the log names it. A probe of the same name is replaced.
  public func add(_ name: String, _ probe: @escaping Probe) {
    probes.withLock {
      $0.removeAll { $0.name == name }
      $0.append((name, probe))
    }
  }
  public func remove(_ name: String) { probes.withLock { $0.removeAll { $0.name == name } } }

  /// Whether a loop has turned since the last tick.
  public func add(_ name: String, loop: any EventLoop) {
    let turned = Beat()
    add(name) {
      guard turned.take() else { return false }
      loop.execute { turned.set() }
      return true
    }
  }

  /// The names of those that are not alive.
  func failing() -> [String] { probes.withLock { $0 }.filter { !$0.probe() }.map(\.name) }
}

/// Set by who lives, taken by who looks.
final class Beat: Sendable {
  private let isSet = Atomic(true)
  func set() { isSet.store(true, ordering: .relaxed) }
  func take() -> Bool { isSet.exchange(false, ordering: .relaxed) }
}
