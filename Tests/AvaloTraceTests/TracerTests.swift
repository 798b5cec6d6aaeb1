import AvaloCore
import Synchronization
import Testing

@testable import AvaloTrace

/// Whom an event's way is asked of.
@Suite struct TracerTests {
  /// A control socket that answers each path alike, and remembers what it was asked.
  private final class Player: Sendable {
    let asked = Mutex<[String]>([])
    let answers: [String: String]

    init(_ answers: [String: String]) {
      self.answers = answers.merging([
        "/workers/gateway/api-keys":
          #"{"keys":[{"id":"a","owner":"shop"},{"id":"b","owner":"blog"},{"id":"c","owner":"shop"}]}"#,
        "/status": #"""
        {"workers":[{"name":"gateway","instances":[{"slot":0,"state":"ready"},{"slot":1,"state":"waiting"},
                                                   {"slot":7,"state":"ready"}]},
                    {"name":"scheduler","instances":[{"slot":0,"state":"ready"}]}]}
        """#,
      ]) { own, _ in own }
    }

    var tracer: Tracer {
      Tracer { path, query in
        let parameters = query.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
        self.asked.withLock { $0.append(parameters.isEmpty ? path : "\(path)?\(parameters)") }
        return Array((self.answers[path] ?? #"{"instance":"\#(path)","connections":[],"journal":[]}"#).utf8)
      }
    }
  }

  private static let kept = #"""
    {"now":9000,"copies":[{"topic":"user:ann","state":"kept","offset":5,"acceptedAt":1000}],
     "topics":[{"name":"user:ann","epoch":"1","head":7,"floor":0,
                "devices":[{"user":"ann","device":"phone","platform":"web","seenAt":2000,"open":true,"cursor":5}]}]}
    """#
  private static let unknown = #"{"now":9000,"copies":[],"topics":[]}"#

  @Test func asksTheSchedulerForTheEventOfAnyOwnerAndEachGatewayThatServes() async throws {
    let player = Player(["/workers/scheduler/trace": Self.kept])
    let report = try await player.tracer.event("e", topic: "user:ann", user: nil)
    #expect(!report.isEmpty)
    #expect(
      player.asked.withLock { $0 } == [
        "/workers/gateway/api-keys",
        "/workers/scheduler/trace?event=e&topic=user:ann&owners=blog,shop",
        "/status",
        "/workers/gateway.0/trace?topic=user:ann&journal=own", "/workers/gateway.0/trace?user=ann&journal=own",
        "/workers/gateway.7/trace?topic=user:ann&journal=all", "/workers/gateway.7/trace?user=ann&journal=all",
      ])
  }

  @Test func looksEverywhereForWhatIsNotInTheUsersInbox() async throws {
    let player = Player(["/workers/scheduler/trace": Self.unknown])
    let report = try await player.tracer.event("e", topic: nil, user: "ann")
    #expect(report.isEmpty)
    let asked = player.asked.withLock { $0.filter { $0.hasPrefix("/workers/scheduler") } }
    #expect(
      asked == [
        "/workers/scheduler/trace?event=e&topic=user:ann&owners=blog,shop",
        "/workers/scheduler/trace?event=e&owners=blog,shop",
      ])
  }

  @Test func tellsOfAUserHowTheLastEventsStand() async throws {
    let player = Player([
      "/workers/scheduler/trace": Self.kept,
      "/workers/scheduler/events":
        #"{"events":[{"offset":5,"eventId":"e5","type":"notification","acceptedAt":1000},{"offset":6,"eventId":"e6","type":"like_received"}]}"#,
    ])
    let report = try await player.tracer.user("ann", last: 2)
    #expect(player.asked.withLock { $0 }.last == "/workers/scheduler/events?topic=user:ann&after=5&limit=2")
    let text = json(report.write(to:))
    #expect(
      text.contains(
        #"{"offset":5,"eventId":"e5","type":"notification","acceptedAt":1000,"devices":[{"device":"phone","outcome":"acknowledged"}]}"#
      ), "\(text)")
    #expect(
      text.contains(
        #"{"offset":6,"eventId":"e6","type":"like_received","devices":[{"device":"phone","outcome":"waiting"}]}"#))
    #expect(report.lines.contains { $0.contains("e5") && $0.contains("phone: acknowledged") })
  }

  @Test func whatTwoQuestionsToldIsToldOnce() async throws {
    let line = #"{"at":3000,"kind":"closed","user":"ann","connection":"c0","device":"phone","clean":false}"#
    let answer = #"{"instance":"gateway.0","connections":[],"journal":[\#(line)]}"#
    let player = Player([
      "/workers/scheduler/trace": Self.kept, "/workers/gateway.0/trace": answer, "/workers/gateway.7/trace": answer,
      "/workers/scheduler/events": #"{"events":[]}"#,
    ])
    let report = try await player.tracer.user("ann", last: 2)
    #expect(report.facts.exceptions.count == 1)
  }

  @Test func anAnswerThatIsNoJSONIsAnError() async throws {
    let player = Player(["/workers/scheduler/trace": "nonsense"])
    await #expect(throws: JSONError.self) { try await player.tracer.event("e", topic: nil, user: nil) }
  }
}
