import ArgumentParser
import AvaloClient
import AvaloCore

struct TokensCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens", abstract: "Takes users' tokens back.", subcommands: [RevokeTokens.self])
}

struct RevokeTokens: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Makes tokens worthless: one user's, one by its id, or everybody's issued before a moment.",
    discussion: """
      When it returns, no gateway accepts one any more, and connections that were opened with one are cut. Tokens that are
      issued later are not touched.
      """)

  @Option(help: "The user whose tokens are meant.") var user: String?
  @Option(help: "One token, by its jti.") var id: String?
  @Option(help: "Only tokens issued before: ms since 1970, or -1h, -7d from now.") var issuedBefore: String?
  @Flag(help: "Everybody's.") var everybody = false
  @OptionGroup var output: OutputOption
  @OptionGroup var control: ControlOption

  func validate() throws {
    guard [user != nil, id != nil, everybody].count(where: { $0 }) == 1 else {
      throw ValidationError("Say whose: --user ID, --id JTI or --everybody, one of them.")
    }
    if let user { try Check.id(user) }
    if id != nil, issuedBefore != nil { throw ValidationError("--issued-before does not go with --id.") }
  }

  func run() async throws {
    try await reportingErrors {
      let answer = try await control.control.call("revokeTokens", try data(now: WallClock.milliseconds()))
      if output.json { return Output.line(answer.description) }
      let whose = user.map { "the tokens of \($0)" } ?? id.map { "the token \($0)" } ?? "everybody's tokens"
      let before = answer.read { $0.number("issuedBefore") }.map { " issued before \(WallClock.text($0))" } ?? ""
      Output.line("revoked \(whose)\(before)")
    }
  }

  func data(now: Int64) throws -> JSONText {
    var before = try issuedBefore.map { try RevokeTokens.time($0, now: now) }
    // The function takes that alone for everybody.
    if everybody, before == nil { before = now }
    return JSONText { json in
      json.object {
        if let user { $0.member("userId", user) }
        if let id { $0.member("tokenId", id) }
        if let before { $0.member("issuedBefore", before) }
      }
    }
  }

  private static func time(_ text: String, now: Int64) throws -> Int64 {
    if text.hasPrefix("-"), let seconds = TimeSpan.seconds(String(text.dropFirst())) { return now - seconds * 1_000 }
    if let milliseconds = Int64(text), milliseconds > 0 { return milliseconds }
    throw ToolError.usage("--issued-before \(text) is neither ms since 1970 nor a span such as -1h")
  }
}
