import AvaloCore
import Testing

@testable import AvaloGateway

/// docs/protocol/asyncapi.yaml and the code say the same. Frames are compared wherever a test's hub sends one.
@Suite struct AsyncAPITests {
  @Test func hasEveryFrameAndNoOther() {
    let sent = ServerFrameKind.allCases.map { "\($0)" }
    let taken = ClientFrameKind.allCases.map { "\($0)" }
    let hint =
      "add it to `components/messages`, with its payload, to the channel's `messages` and to its operation's, in "
      + "docs/protocol/asyncapi.yaml; and to the table in docs/protocol/client.md"
    #expect(Set(Contract.frames(of: "toClients")) == Set(sent), "a frame that the server sends: \(hint)")
    #expect(Set(Contract.frames(of: "fromClients")) == Set(taken), "a frame that clients send: \(hint)")
    let all = Set(sent + taken)
    #expect(Set(Contract.asyncAPI.at("components", "messages")?.keys ?? []) == all)
    #expect(Set(Contract.asyncAPI.at("channels", "webSocket", "messages")?.keys ?? []) == all)
    for frame in ServerFrameKind.allCases { expectKey(frame.key, of: "\(frame)") }
    for frame in ClientFrameKind.allCases { expectKey(frame.key, of: "\(frame)") }
  }

  /// A frame is known by its key.
  private func expectKey(_ key: StaticString, of frame: String) {
    let payload = Contract.payload(frame)?.schema
    #expect(payload?["required"]?.texts.contains(key.description) == true, "\(frame) is known by \"\(key)\"")
  }

  @Test func hasEveryFunction() {
    let named = Contract.asyncAPI.at("components", "schemas", "Function", "enum")?.texts ?? []
    #expect(
      named.sorted() == CallTable.names.sorted(),
      "`Function` in docs/protocol/asyncapi.yaml lists the functions there are")
  }

  @Test func aClientsFramesHaveTheFieldsOfTheCode() throws {
    let connect = try #require(Contract.payload("connect")?.schema.at("properties", "connect", "properties"))
    do {
      _ = try Array(#"{"§":1}"#.utf8).withUnsafeBytes { text in
        try ConnectRequest(try JSONView(validating: text), topicsMax: 1)
      }
      Issue.record("a connect frame with an unknown field is taken")
    } catch let error as CallError {
      let known = error.message.split(separator: "there are: ").last?.split(separator: ", ").map(String.init) ?? []
      #expect(Set(connect.keys) == Set(known + ["token"]))
    }
  }

  /// What the documents show is what the code takes.
  @Test func takesWhatItSays() throws {
    let shown = [
      #"{"connect":{"token":"x","deviceId":"phone","platform":"web","subscriptions":["user:ann"],"positions":{"user:ann":{"epoch":"0000000142d1c0aa","offset":17}}}}"#,
      #"{"id":7,"call":"updatePresenceV1","data":{"status":"busy"}}"#, #"{"id":"a","call":"unsubscribe"}"#,
      #"{"ack":{"topic":"user:ann","epoch":"0000000142d1c0aa","offset":18}}"#, #"{"ack":[]}"#, #"{"ping":{}}"#,
      #"{"ping":{},"id":3}"#,
    ]
    for text in shown {
      let frame = try JSONValue(json: text)
      let name = try #require(Contract.frames(of: "fromClients").first { frame[$0] != nil })
      #expect(Contract.schema.problems(frame, try #require(Contract.payload(name))) == [], "\(text)")
    }
  }

  @Test func aFrameThatIsNotWrittenDownIsNoticed() {
    withKnownIssue { Contract.check(frame: #"{"hello":{}}"#) }
    withKnownIssue { Contract.check(frame: #"{"pong":{"serverTime":1,"more":2}}"#) }
    Contract.check(frame: #"{"pong":{"serverTime":1}}"#)
  }
}
