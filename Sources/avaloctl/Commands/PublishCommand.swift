import ArgumentParser
import AvaloClient
import AvaloCore
import AvaloKeys

struct PublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Publishes one event, as a backend would.",
    discussion: """
      Over avalod's control socket, as its operator; with --key-file or --url over HTTP, with a backend's key.
      """)

  @Option(help: "The user it is for.") var user: String?
  @Option(help: "The topic it is for, such as chat:c1; instead of --user.") var topic: String?
  @Option(help: "One of the event types.") var type = "chat_message"
  @Option(help: "A JSON object.") var payload: String
  @Option(help: "How long it lives: 90s, 15m, 1h, 7d (default: by its type).") var ttl: String?
  @Option(help: "low, normal, high or urgent.") var priority: String?
  @Option(help: "Its id; publishing the same id again changes nothing.") var eventID: String?
  @Option(help: "Who caused it.") var source: String?
  @Option(help: "When to deliver it: ms since 1970, or +30s, +5m from now.") var deliverAt: String?
  @Option(help: "A file with an API key to publish with (default with --url: the configuration's dev-api-key).")
  var keyFile: String?
  @OptionGroup var output: OutputOption
  @OptionGroup var server: ServerOption
  @OptionGroup var control: ControlOption
  @OptionGroup var config: ConfigOption

  func validate() throws {
    guard (user == nil) != (topic == nil) else {
      throw ValidationError("Say who the event is for: --user ID or --topic KIND:ID, one of them.")
    }
  }

  func run() async throws {
    try await reportingErrors {
      let result = try await publish(try data())
      Output.line(output.json ? result.description : PublishCommand.sentence(result))
    }
  }

  private func publish(_ data: JSONText) async throws -> JSONText {
    guard keyFile != nil || server.url != nil else {
      return try await control.control.call("publishRealtimeEvent", data)
    }
    let key = try keyFile.map { try KeyFolder.apiKey(in: $0) } ?? config.keys.developmentKey()
    let client = CallableClient(try server.endpoint(), credential: key.text)
    let result = try await client.call("publishRealtimeEvent", data)
    await client.close()
    return result
  }

  /// The call's data; the server checks what it means, this only that it can be sent.
  func data(now: Int64 = WallClock.milliseconds()) throws -> JSONText {
    let object: JSONText
    do {
      object = try JSONText(validating: payload)
    } catch {
      throw ToolError.usage("--payload is not JSON: \(error)")
    }
    guard object.read({ $0.kind == .object }) else { throw ToolError.usage("--payload must be a JSON object, {…}") }
    let lifetime = try ttl.map { text in
      guard let seconds = TimeSpan.seconds(text) else {
        throw ToolError.usage("--ttl \(text) is no span of time; give one like 90s, 15m, 1h or 7d")
      }
      return seconds
    }
    let due = try deliverAt.map { try PublishCommand.time($0, now: now) }
    return JSONText { json in
      json.object {
        $0.member("type", type)
        if let user { $0.member("targetUserId", user) }
        if let topic { $0.member("topic", topic) }
        if let source { $0.member("sourceUserId", source) }
        if let eventID { $0.member("eventId", eventID) }
        $0.key("payload")
        $0.raw(object.bytes)
        $0.member("timestamp", now)
        if let priority { $0.member("priority", priority) }
        if let lifetime { $0.member("ttl", lifetime) }
        if let due { $0.member("deliverAt", due) }
      }
    }
  }

  private static func time(_ text: String, now: Int64) throws -> Int64 {
    if text.hasPrefix("+"), let seconds = TimeSpan.seconds(String(text.dropFirst())) { return now + seconds * 1_000 }
    if let milliseconds = Int64(text), milliseconds > 0 { return milliseconds }
    throw ToolError.usage("--deliver-at \(text) is neither ms since 1970 nor a span such as +30s")
  }

  /// `published evt_1 to user:u as offset 17 (durability os)`.
  static func sentence(_ result: JSONText) -> String {
    result.read { view in
      func text(_ key: StaticString) -> String { view[key]?.string ?? "?" }
      if view["scheduled"]?.boolean == true { return "holding \(text("eventId")) for \(text("topic")) until it is due" }
      let verb = view["duplicate"]?.boolean == true ? "had published" : "published"
      let place = view["offset"]?.integer.map { "as offset \($0)" } ?? "without an offset"
      return "\(verb) \(text("eventId")) to \(text("topic")) \(place) (durability \(text("durability")))"
    }
  }
}
