import AvaloSystem

/// One worker as its manifest and avalo.yaml describe it: validated, with every default filled in, every path absolute.
///
/// Two that are equal need nothing done at a reload.
public struct WorkerManifest: Equatable, Sendable {
  public var name: String
  public var executable: String
  public var arguments: [String]
  public var instances: Int
  /// Whether the service is ready only with it.
  public var required: Bool
  /// Arguments with which the executable checks its own settings; `nil` when it cannot.
  public var check: [String]?
  /// Whether it answers HTTP on an inherited socket named `metrics`.
  public var metrics: Bool
  public var sockets: [SocketManifest]
  public var environment: [String: String]
  /// `nil`: as avalod itself.
  public var user: UserAccount?
  public var limits: [ResourceLimit]
  /// `nil`: it is not watched.
  public var watchdog: Duration?
  public var startTimeout: Duration
  public var reload: ReloadMode
  public var restart: RestartDelays
  public var drain: DrainPolicy
  /// Whether its next generation may run beside the present one: not when it owns something that another cannot have.
  public var overlap = false
  public var status: [StatusSeries]
  /// Whether what it says of itself is part of the STATUS line.
  public var showStatus = false
  /// Keys of the settings, such as `connections.max`, of which a running process knows what they were when it was started.
  public var settingsAtStart: [String] = []
  /// The opaque settings, as the worker reads them (JSON).
  public var settings: [UInt8]

  /// Whether only what the supervisor itself keeps in mind differs: nothing that a running process was started with.
  func needsRestart(comparedTo old: WorkerManifest) -> Bool {
    var same = old
    same.instances = instances
    same.required = required
    same.check = check
    same.startTimeout = startTimeout
    same.reload = reload
    same.restart = restart
    same.drain = drain
    same.overlap = overlap
    same.status = status
    same.showStatus = showStatus
    same.settingsAtStart = settingsAtStart
    same.settings = settings
    return same != self
  }
}

/// A listening socket that a worker inherits.
public struct SocketManifest: Equatable, Sendable {
  public var name: String
  public var address: ListenAddress
  /// One socket an instance (SO_REUSEPORT), so that the kernel spreads connections and a restart keeps its backlog.
  public var perInstance: Bool
  /// Whether the worker speaks TLS on it.
  public var encrypted: Bool
  public var backlog: Int
  /// A Unix socket's permissions.
  public var mode: UInt32
}

public enum ReloadMode: String, Sendable {
  /// SIGHUP: the worker reads its settings again.
  case signal
  /// Stop and start, one instance after the other.
  case restart
  /// New settings are there at the next start.
  case none
}

/// Delays before starting an instance again that died before it was ready.
public struct RestartDelays: Equatable, Sendable {
  public var min: Duration
  public var max: Duration
}

/// When and how long a worker drains: lower orders first, equal orders together.
public struct DrainPolicy: Equatable, Sendable {
  public var order: Int
  public var deadline: Duration
}

/// A series of the worker's metrics that the STATUS line sums: `10 412 connections`.
public struct StatusSeries: Equatable, Sendable {
  public var series: String
  public var label: String
  /// Whether its growth per second is meant.
  public var rate: Bool
}

/// A limit of setrlimit(2) by its kernel number. `UInt64.max` is none.
public struct ResourceLimit: Equatable, Sendable {
  public var name: String
  public var resource: Int32
  public var value: UInt64
}
