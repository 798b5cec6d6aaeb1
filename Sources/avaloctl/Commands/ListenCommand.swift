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

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count must be at least 1.") }
    for topic in topics where Topic(topic) == nil {
      throw ValidationError("\(topic) is no topic; one is KIND:ID, such as chat:c1.")
    }
  }

  func run() async throws {
    try await reportingErrors {
      var options = ClientOptions(try server.endpoint(), deviceID: device, topics: topics)
      // It stays for as long as it is left running, however long the server is away.
      options.reconnectAttemptsMax = .max
      options.reconnectIntervalMilliseconds = 500
      let client = RealtimeClient(options)
      let token = try authentication()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await client.connect(userID: user, token: token) }
        try await printUpdates(of: client)
        group.cancelAll()
      }
      await client.shutdown()
    }
  }

  /// Returns after so many events as were asked for.
  private func printUpdates(of client: RealtimeClient) async throws {
    var left = count ?? .max
    var iterator = client.updates.makeAsyncIterator()
    while let update = await iterator.next() {
      if let line = json ? EventLine.json(update) : EventLine.text(update) { Output.line(line) }
      switch update {
      case .state(.disconnected(let reason)):
        let ending = await client.lastEnding
        guard ending.code != 0 else { throw ClientError.disconnected(reason) }
        throw ClientError.closed(CloseReason(code: ending.code, text: ending.text))
      case .event(let event) where event.offset != nil:
        left -= 1
        guard left > 0 else { return await iterator.finishCurrent() }
      default: break
      }
    }
  }

  private func authentication() throws -> TokenSource {
    if let token { return .fixed(token) }
    let keys = config.keys
    let chats = topics.compactMap(Topic.init).filter { $0.kind == "chat" }.map { String($0.id) }
    let user = user
    // Now already, so that a missing secret is said before anything is tried.
    _ = try TokenCommand.sign(user: user, chats: chats, lifetime: 3_600, with: keys)
    return .provider { _ in try TokenCommand.sign(user: user, chats: chats, lifetime: 3_600, with: keys) }
  }
}
