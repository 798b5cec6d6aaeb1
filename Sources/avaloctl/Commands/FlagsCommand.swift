import ArgumentParser
import AvaloClient
import AvaloCore

struct FlagsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flags", abstract: "Shows and changes who has which feature.",
    subcommands: [ListFlags.self, SetFlag.self, UnsetFlag.self], defaultSubcommand: ListFlags.self)
}

struct ListFlags: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "Shows the flags in force.")

  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let document = try await control.control.get("/workers/gateway/flags")
      if output.json { return Output.line(document.description) }
      Output.table(ListFlags.rows(document))
    }
  }

  static func rows(_ document: JSONText) -> [[String]] {
    document.read { view in
      [["FLAG", "USERS", "ALWAYS", "NEVER"]]
        + view.list("flags").map { flag in
          let share = flag["rollout"].map { String(decoding: $0.raw, as: UTF8.self) } ?? "?"
          return [
            flag.text("name"), "\(share) %", flag.texts("allow").joined(separator: " "),
            flag.texts("deny").joined(separator: " "),
          ]
        }
    }
  }
}

struct SetFlag: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Gives a feature to a share of the users, now and after every restart.",
    discussion: """
      It is written to conf.d/50-flags.yaml of the configuration, which goes over avalo.yaml, and reloaded; a
      configuration that is refused leaves everything as it was. Users named under `allow` and `deny` stay as they are.
      Connections that are there stay until they end by themselves.
      """)

  @Argument(help: "The flag, as `avaloctl flags` names it.") var name: String
  @Argument(help: "on, off, or a percentage of the users: 25, 25%, 12.5%.") var value: String
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    guard FlagOverrides.percent(value) != nil else {
      throw ValidationError("\"\(value)\" is neither on, off, nor a percentage of 0 to 100 such as 12.5%.")
    }
  }

  func run() async throws {
    try await reportingErrors {
      let share = FlagOverrides.percent(value)
      let flags = try await FlagEditor(control.control).change(name) { $0[name] = share }
      Output.line(output.json ? flags.description : "\(name) is for \(share ?? "?") % of the users from now on")
    }
  }
}

struct UnsetFlag: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unset", abstract: "Takes back what `flags set` said: avalo.yaml counts again.")

  @Argument(help: "The flag, as `avaloctl flags` names it.") var name: String
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func run() async throws {
    try await reportingErrors {
      let flags = try await FlagEditor(control.control).change(name) { $0[name] = nil }
      Output.line(output.json ? flags.description : "\(name) is again what the rest of the configuration says")
    }
  }
}
