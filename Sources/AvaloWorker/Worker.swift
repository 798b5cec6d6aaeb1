import AvaloSystem

/// A kind of worker: what remains of a process when docs/protocol/worker.md is taken care of.
///
/// Its life: ``readSettings(_:)``, ``start(_:_:)``, then any number of ``reload(_:)``, at last ``drain(until:)``. The
/// skeleton calls them one after the other, never two at a time, from the cooperative pool.
public protocol Worker: AnyObject, Sendable {
  associatedtype Settings: Sendable

  /// Reads the manifest's `settings`. Problems are collected in the reader; with any, the result is not used. It must
  /// not look at anything but the reader.
  static func readSettings(_ reader: inout SettingsReader) -> Settings

  /// Looks at what good settings name, such as files with keys, and answers what is wrong with that. Runs by `--check`,
  /// behind ``readSettings(_:)``, and so before each start and reload; it must change nothing.
  static func check(_ settings: Settings) async -> [SettingsProblem]

  /// Puts right what `start` refuses to touch, while no worker runs, and says in one line what it did. Runs by
  /// `--repair`. A throw says why nothing was changed, with its description on standard error.
  static func repair(_ settings: Settings, stateDirectory: String, wallClock: WallClock) throws -> String

  /// Returns when it can serve; READY=1 is sent then. A throw ends the process with its description in the log.
  static func start(_ context: WorkerContext, _ settings: Settings) async throws -> Self

  /// Takes over new settings. A throw must leave the old ones in force.
  func reload(_ settings: Settings) async throws

  /// Takes nothing new and returns when nothing is left, by `deadline` at the latest: then the process exits anyway.
  func drain(until deadline: MonotonicInstant) async
}

extension Worker {
  public static func check(_ settings: Settings) async -> [SettingsProblem] { [] }

  public static func repair(_ settings: Settings, stateDirectory: String, wallClock: WallClock) throws -> String {
    throw WorkerError("there is nothing to repair: this worker keeps no file")
  }
}
