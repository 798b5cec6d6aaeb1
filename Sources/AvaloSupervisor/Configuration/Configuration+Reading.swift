import AvaloSystem
import Glibc
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

extension WorkerManifest {
  /// `nil` when it is not enabled (its text is validated all the same, but for what the machine must have).
  static func read(
    _ reader: inout SettingsReader, name: String, runtime: String, context: ConfigurationContext
  ) -> WorkerManifest? {
    let enabled = reader.boolean("enabled", default: true)
    let written = reader.optionalString("name") ?? name
    if written != name { reader.problem("name", "must be \"\(name)\", as the file's, or be left out") }
    let executable = reader.string("executable")
    let user = reader.optionalString("user")
    let manifest = WorkerManifest(
      name: name,
      executable: enabled ? reader.executable(executable, context: context) : executable,
      arguments: reader.strings("arguments"),
      instances: reader.value(
        "instances", "\"auto\" or an integer of 1 to \(SupervisorLimits.instancesMax)", 1, empty: 1
      ) { node in
        switch node.value {
        case .string("auto"): min(context.processors, SupervisorLimits.instancesMax)
        case .integer(let count) where (1...Int64(SupervisorLimits.instancesMax)).contains(count): Int(count)
        default: nil
        }
      },
      required: reader.boolean("required", default: true),
      check: reader.has("check") ? reader.strings("check") : reader.absent("check"),
      metrics: reader.boolean("metrics", default: false),
      sockets: reader.section("sockets") { $0.sockets(runtime: runtime) },
      environment: reader.section("environment") { $0.environment() },
      user: enabled ? user.flatMap { reader.account($0, context: context) } : nil,
      limits: reader.section("limits") { $0.limits() },
      watchdog: reader.has("watchdog") ? reader.watchdog() : reader.absent("watchdog"),
      startTimeout: reader.duration(
        "start_timeout", in: .milliseconds(100)...(.seconds(3600)), default: SupervisorLimits.startTimeout),
      reload: reader.choice(
        "reload",
        of: ["signal": .signal, "restart": .restart, "none": .none] as KeyValuePairs<String, ReloadMode>,
        default: .restart),
      restart: reader.section("restart") { section in
        let delays = RestartDelays(
          min: section.duration(
            "min", in: .milliseconds(10)...(.seconds(60)), default: SupervisorLimits.restartDelayMin),
          max: section.duration(
            "max", in: .milliseconds(10)...(.seconds(3600)), default: SupervisorLimits.restartDelayMax))
        if delays.max < delays.min { section.problem("max", "must not be shorter than min") }
        return delays
      },
      drain: reader.section("drain") { section in
        DrainPolicy(
          order: section.integer("order", in: 0...1000, default: 50),
          deadline: section.duration(
            "deadline", in: .milliseconds(100)...(.seconds(3600)), default: SupervisorLimits.drainDeadline))
      },
      overlap: reader.boolean("overlap", default: false),
      status: reader.sections("status") { section in
        StatusSeries(
          series: section.string("series"), label: section.string("label"),
          rate: section.boolean("rate", default: false))
      },
      showStatus: reader.boolean("show_status", default: false),
      settingsAtStart: reader.strings("settings_at_start"),
      settings: (reader.settings() ?? .emptySection).json())
    return enabled ? manifest : nil
  }
}

extension SettingsReader {
  /// Marks a key as known.
  fileprivate mutating func absent<Value>(_ key: String) -> Value? {
    _ = node(key)
    return nil
  }

  fileprivate mutating func listenAddress(
    _ key: String, folder: String, default fallback: ListenAddress? = nil
  ) -> ListenAddress {
    let address = value(key, ListenAddress.expected, fallback, empty: .unix(path: "")) { node in
      guard case .string(let text) = node.value else { return nil }
      return ListenAddress(text, folder: folder)
    }
    if case .unix(let path) = address { requireFits(path, key) }
    return address
  }

  fileprivate mutating func requireFits(_ path: String, _ key: String) {
    guard path.utf8.count > SupervisorLimits.socketPathBytesMax else { return }
    problem(
      key,
      "\(path) has \(path.utf8.count) bytes; a Unix socket's path may have \(SupervisorLimits.socketPathBytesMax)")
  }

  /// An address that others reach needs TLS, or the word of whoever knows what is in front of it.
  fileprivate mutating func requirePlaintextAllowed(_ address: ListenAddress, encrypted: Bool) {
    let allowed = boolean("allow_plaintext", default: false)
    guard !address.isLocal, !encrypted, !allowed else { return }
    problem(
      "listen",
      "\(address) can be reached from other machines without encryption; set allow_plaintext: true if that is meant "
        + "(behind a proxy that ends TLS, on a private network)")
  }

  /// Octal digits, as chmod(1) takes them.
  fileprivate mutating func mode(_ key: String, default fallback: UInt32) -> UInt32 {
    value(key, "permissions in octal, such as \"0660\"", fallback, empty: fallback) { node in
      guard case .string(let text) = node.value, text.hasPrefix("0"), let mode = UInt32(text, radix: 8), mode <= 0o777
      else { return nil }
      return mode
    }
  }

  fileprivate mutating func group(_ key: String) -> GroupAccount? {
    guard let name = optionalString(key) else { return nil }
    guard let group = GroupAccount(named: name) else {
      problem(key, "there is no group \"\(name)\"")
      return nil
    }
    return group
  }

  fileprivate mutating func sockets(runtime: String) -> [SocketManifest] {
    if keys.count > SupervisorLimits.socketsPerWorkerMax {
      problem("", "at most \(SupervisorLimits.socketsPerWorkerMax) sockets")
    }
    return keys.compactMap { name in
      // A null takes a manifest's socket away.
      guard has(name) else { return absent(name) }
      if !ConfigurationFiles.isName(name) || name == "metrics" {
        problem(name, "a socket's name is \(ConfigurationFiles.nameRule) or \"metrics\"")
      }
      return section(name) { section in
        let address = section.listenAddress("listen", folder: runtime)
        let encrypted = section.boolean("encrypted", default: false)
        section.requirePlaintextAllowed(address, encrypted: encrypted)
        let perInstance = section.boolean("per_instance", default: false)
        if perInstance, case .unix = address {
          section.problem("per_instance", "is for TCP; a Unix socket is shared by all instances")
        }
        if section.has("mode"), case .internet = address { section.problem("mode", "is for Unix sockets") }
        return SocketManifest(
          name: name, address: address, perInstance: perInstance, encrypted: encrypted,
          backlog: section.integer(
            "backlog", in: 1...SupervisorLimits.backlogMax, default: SupervisorLimits.backlog),
          mode: section.mode("mode", default: 0o600))
      }
    }
  }

  fileprivate mutating func environment() -> [String: String] {
    var variables: [String: String] = [:]
    for name in keys {
      let isName =
        name.utf8.first.map { !(0x30...0x39).contains($0) } ?? false
        && name.utf8.allSatisfy {
          $0 == 0x5F || (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
        }
      if !isName { problem(name, "a variable's name has letters, digits and underscores") }
      if WorkerEnvironment.isOurs(name) { problem(name, "is set by avalod; see docs/protocol/worker.md") }
      variables[name] = value(name, "a text, a number or true or false", nil, empty: "") { node in
        switch node.value {
        case .string(let text): text.utf8.contains(0) ? nil : text
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .boolean(let flag): "\(flag)"
        default: nil
        }
      }
    }
    return variables
  }

  fileprivate mutating func limits() -> [ResourceLimit] {
    var limits: [ResourceLimit] = []
    if has("open_files") {
      let files = integer("open_files", in: 64...(1 << 30))
      limits.append(ResourceLimit(name: "open_files", resource: Int32(RLIMIT_NOFILE.rawValue), value: UInt64(files)))
    } else {
      _ = node("open_files")
    }
    if has("core") {
      let core = value("core", "\"unlimited\" or a size such as 0 or \"1GiB\"", nil, empty: UInt64(0)) { node in
        switch node.value {
        case .string("unlimited"): UInt64.max
        case .string(let text): SettingsText.bytes(text).map(UInt64.init)
        case .integer(let bytes) where bytes >= 0: UInt64(bytes)
        default: nil
        }
      }
      limits.append(ResourceLimit(name: "core", resource: Int32(RLIMIT_CORE.rawValue), value: core))
    } else {
      _ = node("core")
    }
    return limits
  }

  fileprivate mutating func watchdog() -> Duration? {
    let interval = value("watchdog", "a duration of 100ms to 1h, such as \"10s\", or 0 for none", nil, empty: .zero) {
      node -> Duration? in
      switch node.value {
      case .integer(0): return .zero
      case .string(let text):
        guard let interval = SettingsText.duration(text),
          interval == .zero || (.milliseconds(100)...(.seconds(3600))).contains(interval)
        else { return nil }
        return interval
      default: return nil
      }
    }
    return interval == .zero ? nil : interval
  }

  fileprivate mutating func settings() -> SettingsNode? {
    guard let settings = node("settings"), settings.value != .null else { return nil }
    if case .section = settings.value {} else { problem("settings", "expected a section, not \(settings.described)") }
    return settings
  }

  /// A name is looked for beside avalod and where packages put programs that only a daemon starts; a path with a slash
  /// is relative to the configuration.
  fileprivate mutating func executable(_ name: String, context: ConfigurationContext) -> String {
    guard !name.isEmpty else { return name }
    let beside = context.executableDirectory
    let candidates =
      name.contains("/")
      ? [path("executable")]
      : [beside, "\(beside)/../lib/avalo", "\(beside)/../libexec/avalo"].map { "\($0)/\(name)" }
    var status = stat()
    for candidate in candidates where stat(candidate, &status) == 0 && status.st_mode & S_IFMT == S_IFREG {
      if access(candidate, X_OK) == 0 { return candidate }
      problem("executable", "\(candidate) is not executable; chmod +x it")
      return candidate
    }
    problem("executable", "there is no \(candidates.joined(separator: ", nor "))")
    return name
  }

  fileprivate mutating func account(_ name: String, context: ConfigurationContext) -> UserAccount? {
    guard let account = UserAccount(named: name) else {
      problem("user", "there is no user \"\(name)\" on this machine")
      return nil
    }
    if account.user == context.userID { return nil }
    guard context.userID == 0 else {
      problem("user", "only root may start a worker as another user; leave it out, or start avalod as root")
      return nil
    }
    return account
  }
}

extension UserAccount {
  /// Looks a name up in the system's user database.
  init?(named name: String) {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16 << 10)
    guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
    var groups = [gid_t](repeating: 0, count: 1024)
    var count = Int32(groups.count)
    guard getgrouplist(name, entry.pw_gid, &groups, &count) >= 0 else { return nil }
    self.init(name: name, user: entry.pw_uid, group: entry.pw_gid, groups: Array(groups.prefix(Int(count))))
  }
}

extension GroupAccount {
  fileprivate init?(named name: String) {
    guard let entry = getgrnam(name) else { return nil }
    self.init(name: name, group: entry.pointee.gr_gid)
  }
}
