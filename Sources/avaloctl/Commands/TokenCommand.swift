import ArgumentParser
import AvaloClient
import AvaloCore
import AvaloKeys

struct TokenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token",
    abstract: "Prints a token for a user, signed with the configuration's secret.",
    discussion: "For development and tests. In production your identity service signs tokens.")

  @Option(help: "The user's id.") var user: String
  @Option(help: "Chats the user may subscribe to, with commas between.") var chats: String?
  @Option(help: "How long it is good for: 90s, 15m, 1h, 7d.") var ttl = "1h"
  @OptionGroup var output: OutputOption
  @OptionGroup var config: ConfigOption

  func run() async throws {
    try await reportingErrors {
      guard let lifetime = TimeSpan.seconds(ttl) else {
        throw ToolError.usage("--ttl \(ttl) is no span of time; give one like 90s, 15m, 1h or 7d")
      }
      let chats = chats?.split(separator: ",").map(String.init) ?? []
      let token = try TokenCommand.sign(user: user, chats: chats, lifetime: lifetime, with: config.keys)
      Output.line(output.json ? JSONText.of { $0.member("token", token) }.description : token)
    }
  }

  /// A token of a new id, from now on.
  static func sign(user: String, chats: [String], lifetime: Int64, with keys: KeyFolder) throws -> String {
    for id in [user] + chats where !Topic.isWellFormedID(id.utf8) {
      throw ToolError.usage("\"\(id)\" is no id: 1 to 128 of A-Z, a-z, 0-9, _ . @ -")
    }
    let number = UInt64.random(in: .min ... .max)
    let token = UserToken(
      user: user, chats: chats, issuedAt: WallClock.seconds(), lifetime: lifetime, id: String(number, radix: 36))
    return token.signed(with: try keys.secret())
  }
}
