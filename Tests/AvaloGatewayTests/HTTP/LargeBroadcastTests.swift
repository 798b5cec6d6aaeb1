import AvaloCore
import AvaloTesting
import AvaloWire
import NIOCore
import Testing

@testable import AvaloGateway

/// Broadcasts that are read beside the loop, over real sockets.
@Suite(.serialized) struct LargeBroadcastTests {
  private let event = #""event":{"eventId":"e","type":"notification","payload":{"n":1}}"#

  private func users(_ count: Int) -> String { (0..<count).map { "\"some-user-\($0)\"" }.joined(separator: ",") }

  /// The log takes everything.
  private func play(_ backend: HTTPBackend) throws {
    try backend.play {
      $0.answer = { request in
        switch request {
        case is BeginBroadcast: .success(BroadcastBegun(broadcast: 9, durability: .os, duplicate: false))
        case is BroadcastPart: .success(BroadcastPartTaken(received: 1))
        default: .failure(CallError(.internal, "not asked for"))
        }
      }
    }
  }

  @Test func readsItWholeAndInTurn() async throws {
    try await TransportRig.run(.nio, answersHTTP: true) { rig in
      let backend = try #require(rig.backend)
      try play(backend)
      let probe = try rig.dial()
      // What comes behind it on the connection is answered behind it.
      let body = #"{"userIds":[\#(users(20_000))],\#(event)}"#
      try probe.send(backend.call("broadcastToUsers", body) + HTTPBackend.get)
      let large = try probe.answer()
      #expect(large.head.hasPrefix("HTTP/1.1 200 ") && large.body.contains(#""recipients":20000"#), "\(large.body)")
      #expect(try probe.answer().body == #"{"status":"ok"}"#)
      let asked = try backend.play { services in
        (
          begun: services.asked.compactMap { $0 as? BeginBroadcast },
          users: services.asked.compactMap { $0 as? BroadcastPart }.flatMap(\.recipients)
        )
      }
      #expect(asked.begun.map(\.recipients) == [20_000] && Set(asked.users).count == 20_000)
      // The same event to the same users is known as the same, however the request was read.
      try probe.send(backend.call("broadcastToUsers", #"{"userIds":[\#(users(3))],\#(event)}"#))
      #expect(try probe.answer().head.hasPrefix("HTTP/1.1 200 "))
      let padding = String(repeating: " ", count: GatewayLimits.bodyBytesOnLoopMax)
      try probe.send(backend.call("broadcastToUsers", #"{"userIds":[\#(users(3))],\#(padding)\#(event)}"#))
      #expect(try probe.answer().head.hasPrefix("HTTP/1.1 200 "))
      let hashes = try backend.play { $0.broadcasts.map(\.contentHash) }
      #expect(hashes.count == 2 && hashes[0] == hashes[1])
    }
  }

  @Test func saysWhatIsWrongWithIt() async throws {
    try await TransportRig.run(.nio, answersHTTP: true) { rig in
      let backend = try #require(rig.backend)
      let probe = try rig.dial()
      for (body, message) in [
        (#"{"userIds":[\#(users(20_000)),7],\#(event)}"#, "userIds[20000] must be"),
        (#"{"userIds":[\#(users(20_000))],\#(event),}"#, "the body is not JSON"),
        (#"{"userIds":[\#(users(20_000))]}"#, "event is missing"),
        (#"[\#(users(20_000))]"#, "data must be an object with userIds and event"),
      ] {
        try probe.send(backend.call("broadcastToUsers", body))
        let refusal = try probe.answer()
        #expect(
          refusal.head.hasPrefix("HTTP/1.1 400 ") && refusal.body.contains(message), "\(refusal.body.prefix(300))")
      }
      let asked = try backend.play { $0.asked.count }
      #expect(asked == 0)
    }
  }

  @Test func readsFewAtATime() throws {
    let admission = Admission()
    for _ in 0..<GatewayLimits.bodiesReadMax { try admission.beginReading() }
    let refusal = #expect(throws: CallError.self) { try admission.beginReading() }
    #expect(refusal?.code == .unavailable && refusal?.retryAfterMilliseconds != nil)
    admission.endReading()
    try admission.beginReading()
  }
}
