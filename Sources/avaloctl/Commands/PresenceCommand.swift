import ArgumentParser
import AvaloClient
import AvaloCore

struct PresenceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "presence", abstract: "Shows how users are, or who is online.")

  @Argument(help: "Users' ids.") var users: [String] = []
  @Flag(help: "Everybody who is not offline.") var online = false
  @Option(help: "With --online: only online, away or busy.") var status: String?
  @Option(help: "With --online: at most so many.") var limit = 1000
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    guard users.isEmpty == online else { throw ValidationError("Name users, or say --online.") }
    for user in users { try Check.id(user) }
    guard limit > 0 else { throw ValidationError("--limit must be at least 1.") }
  }

  func run() async throws {
    try await reportingErrors {
      let found = online ? try await whoIsOnline() : try await ofUsers()
      if output.json { return Output.line(Pages.json("users", found).description) }
      Output.table(PresenceCommand.rows(found, now: WallClock.milliseconds()))
      if online, found.count == limit { Output.complaint("there may be more: --limit") }
    }
  }

  private func whoIsOnline() async throws -> [JSONText] {
    try await Pages.all("listOnlineUsers", "users", limit: limit, control.control) {
      if let status { $0.member("status", status) }
    }
  }

  private func ofUsers() async throws -> [JSONText] {
    let data = JSONText { json in
      json.object {
        $0.key("userIds")
        $0.array { for user in users { $0.string(user) } }
      }
    }
    return try await control.control.call("getPresenceV1", data).read { PresenceCommand.entries($0) }
  }

  /// `{"presence": {"ann": {…}}}` or a list: each with its `userId`.
  static func entries(_ view: JSONView) -> [JSONText] {
    guard let presence = view["presence"] else { return [] }
    if presence.kind == .array { return presence.elements.map { JSONText($0) } }
    return presence.members.map { key, value in
      JSONText { json in
        json.object {
          $0.member("userId", key.string ?? "")
          for (name, member) in value.members where name.string != "userId" {
            $0.key(name.string ?? "")
            $0.raw(member.raw)
          }
        }
      }
    }
  }

  static func rows(_ users: [JSONText], now: Int64) -> [[String]] {
    [["USER", "STATUS", "LAST SEEN", "PLATFORM", "SAYS"]]
      + users.map { user in
        user.read { view in
          let seen = view.number("lastSeenAt") ?? 0
          let ago = seen == 0 ? "never" : StatusTable.span(Double(max(0, now - seen)) / 1000) + " ago"
          return [
            view.text("userId"), view.text("status"), ago, view.text("platform"), view.text("customStatus", or: ""),
          ]
        }
      }
  }
}
