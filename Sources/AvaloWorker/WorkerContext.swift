import AvaloMetrics
import AvaloSystem
import Logging
import NIOCore

/// What a worker is given to live on.
public struct WorkerContext: Sendable {
  /// The manifest's name, such as `gateway`.
  public let name: String
  /// The instance's number.
  public let slot: Int
  /// How many processes of the worker drain, this one among them. To be called when it is to drain.
  public let draining: @Sendable () -> Int
  /// `gateway.0`.
  public var instance: String { "\(name).\(slot)" }
  /// Drawn at the start: tells this life of the slot from the next.
  public let incarnation: UInt64
  /// Where sockets live.
  public let runtimeDirectory: String
  /// Where data lives.
  public let stateDirectory: String
  /// What relative paths in settings are relative to.
  public let configDirectory: String
  /// Inherited listening sockets by name; `metrics` is the skeleton's and not among them.
  public let sockets: [String: [Int32]]
  public let log: Logger
  public let metrics: MetricsRegistry
  /// One thread, which the watchdog watches.
  public let group: any EventLoopGroup
  /// That thread's loop.
  public let eventLoop: any EventLoop
  /// Answers on the worker's `metrics` socket, and so on avalod's control socket below `/workers/NAME`.
  public let routes: HTTPRoutes
  /// What else must be alive for the watchdog to be fed.
  public let liveness: Liveness
  public let monotonicClock: MonotonicClock
  public let wallClock: WallClock
  /// One line for people, shown by `avaloctl status`. Any thread.
  public let setStatus: @Sendable (String) -> Void

  /// The one inherited socket of that name, which becomes the caller's.
  public func socket(_ name: String) throws -> Int32 {
    guard let descriptors = sockets[name], descriptors.count == 1 else {
      throw WorkerError(
        "expected one inherited socket named \"\(name)\", not \(sockets[name]?.count ?? 0): "
          + "start this worker by avalod, or with systemd-socket-activate --fdname=\(name)")
    }
    return descriptors[0]
  }
}

/// Why a worker cannot start.
public struct WorkerError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
