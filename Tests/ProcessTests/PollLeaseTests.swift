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
            let answer = try await server.user("ann").call(
              "realtimePingV1", try JSONText(validating: data), timeout: .seconds(70))
            answers.add(answer.description)
          }
        }
        try await waitUntil("one of the polls has lost its place") { answers.all.count == 1 }
        #expect(answers.all[0].contains(#""events":[],"#))
        _ = try await server.backend().call("publishRealtimeEvent", Load.event("e\(round)", to: "ann"))
        try await waitUntil("the other has the event") { answers.all.count == 2 }
        #expect(answers.all[1].contains(#""eventId":"e\#(round)""#))
        try await group.waitForAll()
      }
    }
    #expect(try await server.process.metric(#"avalo_leases_lost_total{worker="scheduler",slot="0"}"#) != nil)
    try await server.stop()
  }

  /// Where the log stands now.
  private func cursor(_ server: RunningServer, _ round: Int) async throws -> String {
    let data = #"{"connectionId":"c\#(round)","positions":{}}"#
    let answer = try await server.user("ann").call("subscribeToRealtimeEventsV1", try JSONText(validating: data))
    guard round > 1 else { return try #require(answer.read { $0["cursor"]?.string }) }
    let topic = try await server.backend().call("readTopic", try JSONText(validating: #"{"targetUserId":"ann"}"#))
    return try #require(
      topic.read { view in
        view["epoch"]?.string.flatMap { epoch in view["head"]?.integer.map { "user:ann=\(epoch).\($0)" } }
      })
  }
}
