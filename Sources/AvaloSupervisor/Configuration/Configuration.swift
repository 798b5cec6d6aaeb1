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

  /// `{"good":false,"problems":[{"place":…,"line":…,"key":…,"message":…}]}`; without a line where the whole is meant.
  var json: String {
    func section(_ entries: [(String, SettingsNode.Value)]) -> SettingsNode {
      SettingsNode(.section(entries.map { .init(key: $0.0, node: SettingsNode($0.1)) }))
    }
    let problems = problems.map { problem in
      section(
        [("place", .string(problem.place))] + (problem.line.map { [("line", .integer(Int64($0)))] } ?? [])
          + (problem.key.isEmpty ? [] : [("key", .string(problem.key))]) + [("message", .string(problem.message))])
    }
    return String(decoding: section([("good", .boolean(false)), ("problems", .list(problems))]).json(), as: UTF8.self)
  }
}
