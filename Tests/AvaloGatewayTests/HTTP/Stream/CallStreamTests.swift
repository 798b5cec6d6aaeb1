import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// Callables with `Accept: text/event-stream`, line by line as Firebase's SDKs read them.
@Suite struct CallStreamTests {
  let epoch = testEpoch

  @Test func streamsASubscriptionAsMessages() async throws {
    let stream = try await StreamFixture(.callStream)
    try stream.call(#"{"deviceId":"phone"}"#, user: "ann")
    let attach = try #require(try stream.port.take(Attach.self).first)
    #expect(attach.message.device == "phone")
    try stream.attached(attach, at: [position(1)])
    let head = try stream.received()
    #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.contains("\r\nContent-Type: text/event-stream\r\n"))
    #expect(head.contains("\r\n\r\ndata: {\"message\":{\"ready\":{") && head.hasSuffix("}}}\n\n"))
    try stream.watched(position(1))
    #expect(
      try stream.received() == #"data: {"message":{"live":{"topic":"user:ann","epoch":"\#(epoch)","offset":1}}}"#
        + "\n\n")
    stream.deliver(2, "{}")
    let event = try stream.received()
    #expect(event.hasPrefix(#"data: {"message":{"event":{"#) && event.hasSuffix("\"offset\":2}}\n\n"))
    #expect(!event.contains("id: "))
  }

  @Test func endsWithAResult() async throws {
    let stream = try await StreamFixture.live("ann", at: position(0), .callStream)
    stream.mailbox.post(.drain(.atOnce))
    let text = try stream.received()
    #expect(text.hasPrefix(#"data: {"message":{"goaway":"#))
    #expect(text.hasSuffix(#"data: {"result":{"code":4000,"reason":"going_away"}}"# + "\n\n"))
  }

  @Test func endsWithTheErrorThatEndedIt() async throws {
    let stream = try await StreamFixture(.callStream)
    try stream.call("{}", user: "ann")
    let attach = try #require(try stream.port.take(Attach.self).first)
    stream.scheduler { $0.frame(Failed(.resourceExhausted, "too many devices"), correlation: attach.correlation) }
    let answer = Answers(try stream.received())[0]
    #expect(answer.status == 200 && answer.header("Content-Type") == "text/event-stream")
    #expect(answer.body == #"data: {"error":{"status":"RESOURCE_EXHAUSTED","message":"too many devices"}}"# + "\n\n")
  }

  /// What goes wrong before there is anything to stream is told in-band as well: the SDKs look nowhere else.
  @Test func tellsRefusalsInBand() async throws {
    let stream = try await StreamFixture(.callStream)
    for (data, user, status) in [
      ("{}", nil, "UNAUTHENTICATED"), (#"{"subscriptions":["user:bob"]}"#, "ann", "PERMISSION_DENIED"),
      (#"{"subscriptions":7}"#, "ann", "INVALID_ARGUMENT"),
    ] as [(String, String?, String)] {
      try stream.call(data, user: user)
      let answer = Answers(try stream.received())[0]
      #expect(answer.status == 200 && answer.body.hasPrefix(#"data: {"error":{"status":"\#(status)""#), "\(data)")
      try stream.reconnect()
    }
  }

  @Test func answersOtherFunctionsWithOneLine() async throws {
    let stream = try await StreamFixture(.callStream)
    try stream.call(#"{"userIds":["bob"]}"#, user: "ann", name: "getPresenceV1")
    let answer = Answers(try stream.received())[0]
    #expect(answer.status == 200 && answer.header("Content-Type") == "text/event-stream")
    #expect(answer.body.hasPrefix(#"data: {"result":{"presence":{"bob":"#) && answer.body.hasSuffix("\n\n"))
  }

  private func position(_ offset: UInt64) -> Position { Position(epoch: epoch, offset: offset) }
}
