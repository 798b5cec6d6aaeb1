import AvaloSystem
import Logging

/// Who this process is, from the environment that docs/protocol/worker.md lists. Without avalod, systemd's own variables
/// stand in for the folders (systemd.exec(5)), and the working directory for those.
struct WorkerIdentity: Sendable {
  var name: String
  var slot: Int
  var instances: Int
  var runtimeDirectory: String
  var stateDirectory: String
  var configDirectory: String
  var settingsPath: String?
  var drainingPath: String?
  var logLevel: Logger.Level
  var drainTime: Duration

  init(_ environment: Environment, program: String) throws {
    name = environment["AVALO_WORKER"] ?? (program.hasPrefix("avalo-") ? String(program.dropFirst(6)) : program)
    guard let slot = Int(environment["AVALO_SLOT"] ?? "0"), slot >= 0 else {
      throw WorkerError("AVALO_SLOT must be a number, not \"\(environment["AVALO_SLOT"] ?? "")\"")
    }
    self.slot = slot
    guard let instances = Int(environment["AVALO_INSTANCES"] ?? "1"), instances > 0 else {
      throw WorkerError("AVALO_INSTANCES must be a number, not \"\(environment["AVALO_INSTANCES"] ?? "")\"")
    }
    self.instances = instances
    func folder(_ names: String...) -> String {
      names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }.map { String($0.prefix { $0 != ":" }) } ?? "."
    }
    runtimeDirectory = folder("AVALO_RUNTIME_DIR", "RUNTIME_DIRECTORY")
    stateDirectory = folder("AVALO_STATE_DIR", "STATE_DIRECTORY")
    configDirectory = folder("AVALO_CONFIG_DIR", "CONFIGURATION_DIRECTORY")
    settingsPath = environment["AVALO_SETTINGS"]
    drainingPath = environment["AVALO_DRAINING"]
    let level = environment["AVALO_LOG_LEVEL"] ?? "info"
    guard let parsed = Logs.level(named: level) else {
      throw WorkerError("AVALO_LOG_LEVEL must be debug, info, notice, warning or error, not \"\(level)\"")
    }
    logLevel = parsed
    if let text = environment["AVALO_DRAIN_USEC"] {
      guard let microseconds = Int64(text), microseconds > 0 else {
        throw WorkerError("AVALO_DRAIN_USEC must be a number of microseconds, not \"\(text)\"")
      }
      drainTime = .microseconds(microseconds)
    } else {
      drainTime = WorkerLimits.drainTimeDefault
    }
  }

  /// How many of the worker's processes drain when this one does; all there were to be, when nobody says.
  func draining() -> Int {
    guard let drainingPath, let bytes = try? ProcessFile.readBytes(drainingPath, bytesMax: 64),
      let count = Int(String(decoding: bytes, as: UTF8.self).prefix { $0 != "\n" }), count > 0
    else { return instances }
    return count
  }

  /// The settings, read anew.
  func settings<W: Worker>(of _: W.Type) -> Result<W.Settings, WorkerSettingsError> {
    let node: SettingsNode
    do {
      node =
        try settingsPath.map { path in
          try SettingsNode(json: ProcessFile.readBytes(path, bytesMax: SystemLimits.settingsBytesMax))
        } ?? .emptySection
    } catch let problem as SettingsProblem {
      return .failure(WorkerSettingsError(problems: [problem]))
    } catch {
      return .failure(WorkerSettingsError(problems: [SettingsProblem(path: "", message: "\(error)")]))
    }
    let (settings, problems) = SettingsReader.read(node, folder: configDirectory) { W.readSettings(&$0) }
    return problems.isEmpty ? .success(settings) : .failure(WorkerSettingsError(problems: problems))
  }
}

/// Everything that is wrong with the settings.
struct WorkerSettingsError: Error {
  var problems: [SettingsProblem]
}
