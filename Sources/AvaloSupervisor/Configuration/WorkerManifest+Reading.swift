import AvaloSystem
import Glibc

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

// What its sections hold.
extension SettingsReader {
  /// Marks a key as known.
  fileprivate mutating func absent<Value>(_ key: String) -> Value? {
    _ = node(key)
    return nil
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
