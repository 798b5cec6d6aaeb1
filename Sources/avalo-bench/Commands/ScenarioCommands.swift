import ArgumentParser

struct ConnectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connect", abstract: "Connects many clients: time to live, CPU and memory for each.")

  @Option(help: "Clients, at most 19 900 a process.") var clients = 1_000
  @Option(help: "Connects a second (default: as fast as they are answered).") var rate: Double?
  @Option(help: "Clients on their way at once.") var inFlight = 256
  @Option(help: "Seconds to stay before memory is looked at.") var settle = 2.0
  @Option(help: "Seconds to measure idling for.") var hold = 0.0
  @OptionGroup var common: CommonOptions

  func run() async throws {
    try await reportingErrors {
      let scenario = ConnectScenario(
        clients: clients, rate: rate, inFlight: inFlight, settleSeconds: settle, holdSeconds: hold)
      let bench = try await common.bench()
      try common.finish(try scenario.run(bench, command: CommandLine.text))
    }
  }
}

struct FanoutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fanout", abstract: "One topic to many subscribers, at a rate or up to the knee.")

  @Option(help: "Subscribers.") var subscribers = 1_000
  @Option(help: "Messages a second.") var rate = 100.0
  @Flag(help: "Search for the highest rate with p99 ≤ 100 ms and no loss, from --rate up.") var knee = false
  @Option(help: "Seconds at each rate.") var seconds = 5.0
  @Option(help: "Bytes of each payload.") var payload = 128
  @Option(help: "Publishing connections.") var publishers = 8
  @Option(help: "Publishes on their way at once.") var inFlight = 512
  @OptionGroup var common: CommonOptions

  func run() async throws {
    try await reportingErrors {
      let scenario = FanoutScenario(
        subscribers: subscribers, load: knee ? .knee(from: rate) : .rate(rate), seconds: seconds, payloadBytes: payload,
        publishers: publishers, inFlight: inFlight)
      let bench = try await common.bench()
      try common.finish(try scenario.run(bench, command: CommandLine.text))
    }
  }
}

struct PairsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pairs", abstract: "Events to one user at a time, at a rate or as many as are answered.")

  @Option(help: "Users, each with a connection.") var users = 10_000
  @Option(help: "Events a second (default: as many as are answered).") var rate: Double?
  @Option(help: "Seconds.") var seconds = 5.0
  @Option(help: "Bytes of each payload.") var payload = 128
  @Option(help: "Publishing connections.") var publishers = 16
  @Option(help: "Publishes on their way at once.") var inFlight = 512
  @OptionGroup var common: CommonOptions

  func run() async throws {
    try await reportingErrors {
      let scenario = PairsScenario(
        users: users, rate: rate, seconds: seconds, payloadBytes: payload, publishers: publishers, inFlight: inFlight)
      let bench = try await common.bench()
      try common.finish(try scenario.run(bench, command: CommandLine.text))
    }
  }
}

struct PresenceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "presence", abstract: "Users who watch each other's presence, and change their own at a rate.")

  @Option(help: "Users, each with a connection, at most 19 900 a process.") var users = 10_000
  @Option(help: "Users that each watches.") var watched = 50
  @Option(help: "Changes a second, of one user after the other.") var rate = 1_000.0
  @Option(help: "Seconds.") var seconds = 5.0
  @OptionGroup var common: CommonOptions

  func run() async throws {
    try await reportingErrors {
      let scenario = PresenceScenario(users: users, watched: watched, rate: rate, seconds: seconds)
      let bench = try await common.bench()
      try common.finish(try scenario.run(bench, command: CommandLine.text))
    }
  }
}

struct RecoverCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover", abstract: "Cuts all clients at once, publishes meanwhile, and brings all back at once.")

  @Option(help: "Clients.") var clients = 1_000
  @Option(help: "Events for each while it is away.") var missed = 1
  @Option(help: "Clients on their way at once.") var inFlight = 4_000
  @Option(help: "Bytes of each payload.") var payload = 128
  @Option(help: "Publishing connections.") var publishers = 32
  @OptionGroup var common: CommonOptions

  func run() async throws {
    try await reportingErrors {
      let scenario = RecoverScenario(
        clients: clients, missedEvents: missed, inFlight: inFlight, payloadBytes: payload, publishers: publishers)
      let bench = try await common.bench()
      try common.finish(try scenario.run(bench, command: CommandLine.text))
    }
  }
}

extension CommandLine {
  /// As it was typed, without the folder of the program.
  static var text: String {
    (["avalo-bench"] + CommandLine.arguments.dropFirst()).joined(separator: " ")
  }
}
