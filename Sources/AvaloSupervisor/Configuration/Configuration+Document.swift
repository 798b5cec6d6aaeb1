import AvaloSystem

extension Configuration {
  /// The configuration as one avalo.yaml would say it, with nothing left to a default.
  var document: SettingsNode {
    .section(
      ("runtime_directory", .string(runtimeDirectory)),
      ("state_directory", .string(stateDirectory)),
      (
        "admin",
        SettingsNode.section(("listen", .string("\(admin)")), ("allow_plaintext", .boolean(!admin.isLocal))).value
      ),
      ("control", .section(control)),
      (
        "log",
        SettingsNode.section(
          ("level", .string(logLevel.rawValue)), ("destination", .string(logDestination?.rawValue ?? "auto"))
        ).value
      ),
      ("workers", .section(workers.map { SettingsNode.Entry(key: $0.name, node: $0.document) })))
  }
}

extension Configuration {
  private var control: [SettingsNode.Entry] {
    var entries = [("socket", controlSocket), ("mode", octal(controlMode))]
    if let controlGroup { entries.append(("group", controlGroup.name)) }
    return entries.map { SettingsNode.Entry(key: $0.0, node: SettingsNode(.string($0.1))) }
  }
}

extension WorkerManifest {
  fileprivate var document: SettingsNode {
    var entries: [SettingsNode.Entry] = []
    func add(_ key: String, _ value: SettingsNode.Value) { entries.append(.init(key: key, node: SettingsNode(value))) }
    func duration(_ duration: Duration) -> SettingsNode.Value { .string(SettingsText.duration(duration)) }
    func list(_ texts: [String]) -> SettingsNode.Value { .list(texts.map { SettingsNode(.string($0)) }) }
    add("executable", .string(executable))
    add("arguments", list(arguments))
    add("instances", .integer(Int64(instances)))
    add("required", .boolean(required))
    if let check { add("check", list(check)) }
    add("metrics", .boolean(metrics))
    add("sockets", .section(sockets.map { SettingsNode.Entry(key: $0.name, node: $0.document) }))
    add(
      "environment",
      .section(
        environment.sorted { $0.key < $1.key }.map {
          SettingsNode.Entry(key: $0.key, node: SettingsNode(.string($0.value)))
        }))
    if let user { add("user", .string(user.name)) }
    add(
      "limits",
      .section(
        limits.map {
          SettingsNode.Entry(
            key: $0.name,
            node: SettingsNode($0.value == .max ? .string("unlimited") : .integer(Int64(clamping: $0.value))))
        }))
    add("watchdog", watchdog.map(duration) ?? .integer(0))
    add("start_timeout", duration(startTimeout))
    add("reload", .string(reload.rawValue))
    add("restart", SettingsNode.section(("min", duration(restart.min)), ("max", duration(restart.max))).value)
    add(
      "drain",
      SettingsNode.section(("order", .integer(Int64(drain.order))), ("deadline", duration(drain.deadline))).value)
    add("overlap", .boolean(overlap))
    add(
      "status",
      .list(
        status.map {
          .section(("series", .string($0.series)), ("label", .string($0.label)), ("rate", .boolean($0.rate)))
        }))
    add("show_status", .boolean(showStatus))
    add("settings_at_start", .list(settingsAtStart.map { SettingsNode(.string($0)) }))
    // Written by us a moment ago.
    if let settings = try? SettingsNode(json: settings) { add("settings", settings.value) }
    return SettingsNode(.section(entries))
  }
}

extension SocketManifest {
  fileprivate var document: SettingsNode {
    var node = SettingsNode.section(
      ("listen", .string("\(address)")), ("per_instance", .boolean(perInstance)), ("encrypted", .boolean(encrypted)),
      ("backlog", .integer(Int64(backlog))))
    if case .unix = address { node["mode"] = SettingsNode(.string(octal(mode))) }
    if !address.isLocal, !encrypted { node["allow_plaintext"] = SettingsNode(.boolean(true)) }
    return node
  }
}

private func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }

extension SettingsNode {
  /// YAML text: what ``init(yaml:firstLine:)`` reads back as the same value.
  func yaml() -> String {
    var out = ""
    write(to: &out, indentation: 0)
    return out
  }

  private func write(to out: inout String, indentation: Int) {
    let space = String(repeating: " ", count: indentation)
    switch value {
    case .section(let entries) where !entries.isEmpty:
      for entry in entries {
        out += "\(space)\(SettingsNode.key(entry.key)):"
        entry.node.writeValue(to: &out, indentation: indentation + 2)
      }
    case .list(let items) where !items.isEmpty:
      for item in items {
        out += "\(space)-"
        item.writeValue(to: &out, indentation: indentation + 2)
      }
    default: out += "\(space)\(inline)\n"
    }
  }

  private func writeValue(to out: inout String, indentation: Int) {
    switch value {
    case .section(let entries) where !entries.isEmpty:
      out += "\n"
      write(to: &out, indentation: indentation)
    case .list(let items) where !items.isEmpty:
      out += "\n"
      write(to: &out, indentation: indentation)
    default: out += " \(inline)\n"
    }
  }

  /// JSON's scalars and empty collections are YAML's.
  private var inline: String { String(decoding: json(), as: UTF8.self) }

  private static func key(_ key: String) -> String {
    let isPlain =
      !key.isEmpty
      && key.utf8.allSatisfy {
        $0 == 0x5F || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
      } && !["true", "false", "null", "True", "False", "Null", "TRUE", "FALSE", "NULL"].contains(key)
    return isPlain ? key : String(decoding: SettingsNode(.string(key)).json(), as: UTF8.self)
  }
}
