import AvaloClient
import AvaloCore
import AvaloTesting
import Synchronization
import Testing

/// Polls of one connection at two gateways, of which the kernel chooses one for each request.
@Suite(.serialized) struct PollLeaseTests {
  private final class Answers: Sendable {
    private let texts = Mutex<[String]>([])
    var all: [String] { texts.withLock { $0 } }
    func add(_ text: String) { texts.withLock { $0.append(text) } }
  }

  /// Whichever gateways hold them, one of two polls is answered at once, with nothing, and the other gets the event.
  @Test func oneOfTwoPollsStandsWhereverTheyAreHeld() async throws {
    let server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    // Each round meets two gateways with even odds.
    for round in 1...6 {
      let answers = Answers()
      let cursor = try await cursor(server, round)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<2 {
          group.addTask {
            let data = #"{"connectionId":"c\#(round)","cursor":"\#(cursor)","holdMs":60000}"#
            let answer = try await ask(server, "realtimePingV1", data)
            answers.add(answer.description)
          }
        }
        try await waitUntil("one of the polls has lost its place") { answers.all.count == 1 }
        #expect(answers.all[0].contains(#""events":[],"#))
        try await publish(round, server)
        try await waitUntil("the other has the event") { answers.all.count == 2 }
        #expect(answers.all[1].contains(#""eventId":"e\#(round)""#))
        try await group.waitForAll()
      }
    }
    #expect(try await server.process.metric(#"avalo_leases_lost_total{worker="scheduler",slot="0"}"#) != nil)
    try await server.stop()
  }

  /// A cursor is good at any instance: nothing is lost on the way from one to the other, and nothing comes twice.
  @Test func aPollGoesOnAtAnotherGateway() async throws {
    let server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    var cursor = try await cursor(server, 1)
    var served: [Int] = []
    var told: [String] = []
    // Each round meets either gateway with even odds: three moves come soon.
    for round in 1...60 where moves(served) < 3 {
      try await publish(round, server)
      let before = try await polls(server)
      let data = #"{"deviceId":"phone","cursor":"\#(cursor)","holdMs":60000}"#
      let answer = try await ask(server, "realtimePingV1", data)
      cursor = try #require(answer.read { $0["cursor"]?.string })
      told += answer.read { $0["events"].map { $0.elements.compactMap { $0["eventId"]?.string } } ?? [] }
      #expect(told.last == "e\(round)" && answer.read { $0["gaps"] == nil })
      let after = try await polls(server)
      served.append(try #require(after.indices.first { after[$0] > before[$0] }))
    }
    #expect(moves(served) == 3)
    #expect(told == (1...served.count).map { "e\($0)" })
    try await server.stop()
  }

  /// The same of a stream's `Last-Event-ID`.
  @Test func aStreamGoesOnAtAnotherGateway() async throws {
    let server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    let (_, port) = try await server.process.address(of: "client", worker: "gateway")
    let answer = try await ask(server, "subscribeToRealtimeEventsV1", #"{"deviceId":"browser"}"#)
    let url = try #require(answer.read { $0["eventsUrl"]?.string })
    let source = EventSource(
      port: port, target: String(url[try #require(url.firstRange(of: "/events?")).lowerBound...]))
    var served: [Int] = []
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { source.stop() }
      group.addTask { await source.run() }
      for round in 1...60 where moves(served) < 3 {
        try await waitUntil("one gateway has the stream") {
          guard source.read.opened == round else { return false }
          return try await streams(server).reduce(0, +) == 1
        }
        served.append(try #require(try await streams(server).firstIndex(of: 1)))
        // One that comes, and one while nobody listens.
        let (heard, unheard) = (2 * round - 1, 2 * round)
        try await publish(heard, server)
        try await waitUntil("the stream stands behind it") { source.read.lastID.hasSuffix(".\(heard)") }
        source.leave()
        try await waitUntil("nobody listens") { source.read.isAway }
        try await publish(unheard, server)
        source.comeBack()
        try await waitUntil("the stream stands behind both") { source.read.lastID.hasSuffix(".\(unheard)") }
      }
    }
    #expect(moves(served) == 3)
    #expect(source.read.events.sorted { $0.key < $1.key }.map(\.value) == (1...2 * served.count).map { "e\($0)" })
    #expect(source.read.complaints.isEmpty && source.read.repeated.isEmpty)
    try await server.stop()
  }

  private func moves(_ served: [Int]) -> Int { zip(served, served.dropFirst()).count { $0 != $1 } }

  /// Streams that are open, by gateway.
  private func streams(_ server: RunningServer) async throws -> [Double] {
    try await samples(server, "avalo_connections", #"transport="sse""#)
  }

  /// Polls that were answered, by gateway.
  private func polls(_ server: RunningServer) async throws -> [Double] {
    try await samples(server, "avalo_calls_total", #"function="realtimePingV1",code="OK""#)
  }

  /// Of each gateway.
  private func samples(_ server: RunningServer, _ name: String, _ labels: String) async throws -> [Double] {
    let page = try await server.process.metrics()
    return try (0..<2).map { slot in
      let sample = #"\#(name){worker="gateway",slot="\#(slot)",\#(labels)} "#
      let line = try #require(page.split(separator: "\n").first { $0.hasPrefix(sample) }, "\(sample)")
      return try #require(Double(line.dropFirst(sample.count)))
    }
  }

  /// What ann's call is answered, as soon as that is known.
  private func ask(_ server: RunningServer, _ name: String, _ data: String) async throws -> JSONText {
    try await untilAnswered {
      try await server.user("ann").call(name, try JSONText(validating: data), timeout: .seconds(70))
    }
  }

  private func publish(_ number: Int, _ server: RunningServer) async throws {
    _ = try await untilAnswered {
      try await server.backend().call("publishRealtimeEvent", Load.event("e\(number)", to: "ann"))
    }
  }

  /// Where the log stands now.
  private func cursor(_ server: RunningServer, _ round: Int) async throws -> String {
    let data = #"{"connectionId":"c\#(round)","positions":{}}"#
    let answer = try await ask(server, "subscribeToRealtimeEventsV1", data)
    guard round > 1 else { return try #require(answer.read { $0["cursor"]?.string }) }
    let topic = try await untilAnswered {
      try await server.backend().call("readTopic", try JSONText(validating: #"{"targetUserId":"ann"}"#))
    }
    return try #require(
      topic.read { view in
        view["epoch"]?.string.flatMap { epoch in view["head"]?.integer.map { "user:ann=\(epoch).\($0)" } }
      })
  }
}
