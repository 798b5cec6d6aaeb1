import AvaloSystem
import Logging

/// Everything avalod was told, validated: nothing in it needs to be checked again.
public struct Configuration: Sendable {
  /// Absolute.
  public var directory: String
  public var runtimeDirectory: String
  public var stateDirectory: String
  /// Where metrics and health are served.
  public var admin: ListenAddress
  /// A path.
  public var controlSocket: String
  public var controlMode: UInt32
  /// The group that the socket is given; `nil` leaves it avalod's own.
  public var controlGroup: GroupAccount?
  public var logLevel: Logger.Level
  /// `nil`: the journal when we run under it.
  public var logDestination: Logs.Destination?
  /// By name; those that are not enabled are left out.
  public var workers: [WorkerManifest]

  public func worker(_ name: String) -> WorkerManifest? { workers.first { $0.name == name } }
}

/// What a configuration means depends on these besides its text.
public struct ConfigurationContext: Sendable {
  public var environment: [String: String]
  public var workingDirectory: String
  /// Where avalod itself is: workers are looked for beside it.
  public var executableDirectory: String
  /// What `instances: auto` means.
  public var processors: Int
  public var userID: UInt32

  public init(
    environment: [String: String], workingDirectory: String, executableDirectory: String, processors: Int,
    userID: UInt32
  ) {
    self.environment = environment
    self.workingDirectory = workingDirectory
    self.executableDirectory = executableDirectory
    self.processors = processors
    self.userID = userID
  }
}

/// A configuration that is not to be used, with everything that is wrong with it.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
  public var problems: [ConfigurationProblem]
  public var description: String { problems.map(\.description).joined(separator: "\n") }
}
