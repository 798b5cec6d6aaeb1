import AvaloSystem
import Logging

extension Configuration {
  /// Reads and validates a folder. Workers' own settings are not looked into: that is ``WorkerCheck``'s.
  public static func read(directory: String, context: ConfigurationContext) throws(ConfigurationError) -> Configuration
  {
    let (configuration, files) = readWithFiles(directory: directory, context: context)
    guard files.problems.isEmpty else { throw ConfigurationError(problems: files.problems) }
    return configuration
  }

  /// The same, with the files, so that what a worker finds in its settings can be given its place. It is not to be used
  /// when the files have problems: what could not be read has its default.
  static func readWithFiles(directory: String, context: ConfigurationContext)
    -> (configuration: Configuration, files: ConfigurationFiles)
  {
    var files = ConfigurationFiles(directory: directory, environment: context.environment)
    let absolute = directory.hasPrefix("/") ? directory : "\(context.workingDirectory)/\(directory)"
    let (configuration, problems) = SettingsReader.read(files.tree, folder: absolute) { reader in
      Configuration(&reader, directory: absolute, context: context)
    }
    files.note(problems)
    files.note(configuration.conflicts(in: files.tree))
    return (configuration, files)
  }

  private init(_ reader: inout SettingsReader, directory: String, context: ConfigurationContext) {
    // systemd's folders (RuntimeDirectory=, StateDirectory=) may be several, with colons between.
    func systemFolder(_ variable: String) -> String? {
      context.environment[variable]?.split(separator: ":").first.map(String.init)
    }
    let runtime =
      reader.optionalPath("runtime_directory") ?? systemFolder("RUNTIME_DIRECTORY")
      ?? "\(context.workingDirectory)/.avalo/run"
    let state =
      reader.optionalPath("state_directory") ?? systemFolder("STATE_DIRECTORY")
      ?? "\(context.workingDirectory)/.avalo/state"
    self.directory = directory
    runtimeDirectory = runtime
    stateDirectory = state
    admin = reader.section("admin") { section in
      let fallback = ListenAddress("127.0.0.1:8481", folder: runtime)!
      let address = section.listenAddress("listen", folder: runtime, default: fallback)
      section.requirePlaintextAllowed(address, encrypted: false)
      return address
    }
    (controlSocket, controlMode, controlGroup) = reader.section("control") { section in
      let path = section.string("socket", default: "control.sock")
      let absolute = path.hasPrefix("/") ? path : "\(runtime)/\(path)"
      section.requireFits(absolute, "socket")
      return (absolute, section.mode("mode", default: SupervisorLimits.controlMode), section.group("group"))
    }
    (logLevel, logDestination) = reader.section("log") { section in
      (
        section.choice(
          "level",
          of: ["debug": .debug, "info": .info, "notice": .notice, "warning": .warning, "error": .error]
            as KeyValuePairs<
              String, Logger.Level
            >, default: .info),
        section.choice(
          "destination",
          of: ["auto": nil, "journal": .journal, "console": .console] as KeyValuePairs<String, Logs.Destination?>,
          default: nil)
      )
    }
    workers = reader.section("workers") { section in
      let names = section.keys
      if names.count > SupervisorLimits.workersMax {
        section.problem("", "at most \(SupervisorLimits.workersMax) workers")
      }
      return names.compactMap { name in
        if !ConfigurationFiles.isName(name) {
          section.problem(name, "a worker's name is \(ConfigurationFiles.nameRule)")
        }
        return section.section(name) { WorkerManifest.read(&$0, name: name, runtime: runtime, context: context) }
      }
    }
    for worker in workers {
      let longest = "\(runtime)/metrics/\(worker.name).\(worker.instances).sock"
      guard longest.utf8.count > SupervisorLimits.socketPathBytesMax else { continue }
      reader.problem(
        "runtime_directory",
        "is too long: \(longest) has \(longest.utf8.count) bytes, a Unix socket's path at most "
          + "\(SupervisorLimits.socketPathBytesMax)")
      break
    }
  }

  /// Two listeners at one place.
  private func conflicts(in tree: SettingsNode) -> [SettingsProblem] {
    var owners: [ListenAddress: String] = [admin: "admin.listen", .unix(path: controlSocket): "control.socket"]
    var problems: [SettingsProblem] = []
    for worker in workers {
      for socket in worker.sockets {
        if case .internet(let address) = socket.address, address.port == 0 { continue }
        let path = "workers.\(worker.name).sockets.\(socket.name).listen"
        if let owner = owners[socket.address] {
          problems.append(
            SettingsProblem(path: path, message: "\(socket.address) is \(owner)'s already", line: tree.line(at: path)))
        } else {
          owners[socket.address] = path
        }
      }
    }
    return problems
  }
}
