import ArgumentParser
import AvaloClient
import AvaloCore
import AvaloKeys

struct ListenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "listen",
    abstract: "Connects as a user and prints every event, one a line.",
    discussion: """
      Stays when the connection is lost: comes back, resumes where it was, and says what was missed for good. What was
      printed is acknowledged. The time behind an event is from its timestamp to here.
      """)

  @Option(help: "The user's id.") var user: String
  @Option(name: .customLong("topic"), help: "A topic to subscribe to besides the inbox; may be repeated.")
  var topics: [String] = []
  @Option(help: "A token (default: one is signed with the configuration's secret).") var token: String?
  @Option(help: "The device whose place is kept between runs.") var device: String?
  @Option(help: "Leave after so many events.") var count: Int?
  @Flag(help: "Print JSON, one object a line.") var json = false
  @OptionGroup var server: ServerOption
  @OptionGroup var config: ConfigOption

  private struct Enough: Error {}

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
    for topic in topics where Topic(topic) == nil {
      throw ValidationError("\(topic) is no topic; one is KIND:ID, such as chat:c1.")
    }
  }

  func run() async throws {
    try await reportingErrors {
      var client = RealtimeClient(try server.endpoint(), authentication: try authentication())
      client.deviceID = device
      if !topics.isEmpty { client.subscriptions = ["user:" + user] + topics.filter { $0 != "user:" + user } }
      var left = count ?? .max
      do {
        try await client.run { update in
          Output.line(json ? EventLine.json(update) : EventLine.text(update))
          if case .event = update {
            left -= 1
            if left == 0 { throw Enough() }
          }
        }
      } catch is Enough {
        // As many as were asked for.
      }
    }
  }

  private func authentication() throws -> @Sendable () async throws -> ConnectRequest.Authentication {
    if let token { return { .token(token) } }
    let keys = config.keys
    let chats = topics.compactMap(Topic.init).filter { $0.kind == "chat" }.map { String($0.id) }
    let user = user
    // Now already, so that a missing secret is said before anything is tried.
    _ = try TokenCommand.sign(user: user, chats: chats, lifetime: 3_600, with: keys)
    return { .token(try TokenCommand.sign(user: user, chats: chats, lifetime: 3_600, with: keys)) }
  }
}
