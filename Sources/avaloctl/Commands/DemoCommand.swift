import ArgumentParser
import AvaloClient
import AvaloCore
import AvaloKeys

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Connects two users, publishes to them, and shows what arrives and how fast.")

  @OptionGroup var server: ServerOption
  @OptionGroup var config: ConfigOption

  func run() async throws {
    try await reportingErrors {
      let endpoint = try server.endpoint()
      let keys = config.keys
      let publisher = CallableClient(endpoint, credential: try keys.developmentKey().text)
      let alice = try await DemoUser.connect("alice", endpoint, keys)
      let bob = try await DemoUser.connect("bob", endpoint, keys)
      for user in [alice, bob] {
        Output.line(
          "\(user.name) is connected and listens to \(user.connection.ready.subscriptions.joined(separator: ", "))")
      }
      Output.line("")
      try await show(publisher, #""targetUserId":"bob""#, "Only you can read this.", to: [bob])
      try await show(publisher, #""topic":"chat:demo""#, "Hello, both of you!", to: [alice, bob])
      try await measure(publisher, bob)
      for user in [alice, bob] { user.connection.close() }
      await publisher.close()
    }
  }

  private func show(_ publisher: CallableClient, _ target: String, _ text: String, to users: [DemoUser]) async throws {
    let start = ContinuousClock.now
    let eventID = try await publish(publisher, target, text)
    Output.line("published to {\(target)}, kept after \(DemoCommand.text(ContinuousClock.now - start))")
    for user in users {
      let arrival = try await user.arrival(of: eventID)
      Output.line(
        "  \(user.name) has it after \(DemoCommand.text(arrival.at - start)): \(arrival.delivery.topic) "
          + "#\(arrival.delivery.offset) \(arrival.delivery.event.payload)")
    }
  }

  private func measure(_ publisher: CallableClient, _ user: DemoUser) async throws {
    var times: [Duration] = []
    for number in 1...100 {
      let start = ContinuousClock.now
      let eventID = try await publish(publisher, #""targetUserId":"\#(user.name)""#, "number \(number)")
      times.append(try await user.arrival(of: eventID).at - start)
    }
    times.sort()
    Output.line("")
    Output.line(
      "100 more, one after the other, from publishing to arrival: median \(DemoCommand.text(times[49])), "
        + "99th \(DemoCommand.text(times[98])), slowest \(DemoCommand.text(times[99]))")
  }

  private func publish(_ publisher: CallableClient, _ target: String, _ text: String) async throws -> String {
    let eventID = "demo-" + String(UInt64.random(in: .min ... .max), radix: 36)
    let data = JSONText { json in
      json.raw(
        Array(#"{\#(target),"eventId":"\#(eventID)","type":"chat_message","payload":{"text":"\#(text)"}}"#.utf8))
    }
    _ = try await publisher.call("publishRealtimeEvent", data)
    return eventID
  }

  /// `0.84 ms`.
  private static func text(_ duration: Duration) -> String {
    let hundredths = Int(duration / .microseconds(10))
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) ms"
  }
}

/// One of the demo's users: a connection, and what came over it with the time it came.
private struct DemoUser {
  struct Arrival: Sendable {
    var at: ContinuousClock.Instant
    var delivery: Delivery
  }

  let name: String
  let connection: RealtimeConnection
  private let arrivals: AsyncStream<Arrival>

  static func connect(_ name: String, _ endpoint: Endpoint, _ keys: KeyFolder) async throws -> DemoUser {
    let token = try TokenCommand.sign(user: name, chats: ["demo"], lifetime: 600, with: keys)
    let request = ConnectRequest(.token(token), subscriptions: ["user:\(name)", "chat:demo"])
    return DemoUser(name, try await RealtimeConnection.open(endpoint, request))
  }

  private init(_ name: String, _ connection: RealtimeConnection) {
    self.name = name
    self.connection = connection
    let (arrivals, arrived) = AsyncStream.makeStream(of: Arrival.self)
    self.arrivals = arrivals
    // Ends with the connection, which the demo closes.
    Task {
      for await frame in connection.frames {
        if case .event(let delivery) = frame { arrived.yield(Arrival(at: .now, delivery: delivery)) }
      }
      arrived.finish()
    }
  }

  /// Passes over what came before it, as from an earlier demo. Throws when it has not come within five seconds.
  func arrival(of eventID: String) async throws -> Arrival {
    let alarm = Task { [connection] in
      try await Task.sleep(for: .seconds(5))
      connection.close()
    }
    defer { alarm.cancel() }
    for await arrival in arrivals where arrival.delivery.event.eventID == eventID { return arrival }
    throw ToolError.failed("\(name) did not get \(eventID) within 5 seconds: \(await connection.closeReason)")
  }
}
