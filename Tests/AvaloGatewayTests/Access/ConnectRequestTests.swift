import AvaloCore
import Testing

@testable import AvaloGateway

@Suite struct ConnectRequestTests {
  @Test func readsEveryField() throws {
    let request = try parse(
      #"{"token":"x","connectionId":"conn_1","deviceId":"d","platform":"iOS","subscriptions":["user:u","nonsense"],"#
        + #""positions":{"user:u":{"epoch":"0000000142d1c0aa","offset":17}}}"#)
    #expect(
      request
        == ConnectRequest(
          connectionID: "conn_1", deviceID: "d", platform: .ios, subscriptions: ["user:u", "nonsense"],
          positions: [Topic("user:u")!: Position(epoch: Epoch(rawValue: 0x1_42d1_c0aa), offset: 17)]))
  }

  @Test func everyFieldIsOptional() throws {
    for text in ["null", "{}", #"{"deviceId":null,"subscriptions":null,"positions":null}"#] {
      let request = try parse(text)
      #expect(request == ConnectRequest())
      #expect(request.topics(of: Identity(user: "u", expiresAtMilliseconds: 0)) == ["user:u"])
    }
  }

  @Test(arguments: [
    ("7", "expected an object with connectionId, deviceId, platform, subscriptions and positions"),
    (
      #"{"deviceID":"d"}"#,
      #"unknown field "deviceID"; there are: connectionId, deviceId, platform, subscriptions, positions"#
    ),
    (#"{"deviceId":"a b"}"#, #"deviceId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not "a b""#),
    (#"{"connectionId":7}"#, "connectionId must be 1 to 128 of A-Z, a-z, 0-9, _ . @ -, not 7"),
    (#"{"platform":"tv"}"#, #"platform must be one of web, ios, android, not "tv""#),
    (#"{"subscriptions":[]}"#, "subscriptions is empty: leave it out for the user's own inbox"),
    (#"{"subscriptions":"user:u"}"#, #"subscriptions must be a list of topics, not "user:u""#),
    (#"{"subscriptions":["a",{}]}"#, "subscriptions[1] must be a topic's name, not {}"),
    (#"{"subscriptions":["a","b","c","d"]}"#, "subscriptions may name at most 3 topics"),
    (#"{"positions":[]}"#, #"positions must be an object of topics and {"epoch", "offset"}, not []"#),
    (#"{"positions":{"u":{}}}"#, #"a key of positions must be a topic such as "user:u", not "u""#),
    (
      #"{"positions":{"user:u":{"epoch":"1","offset":1}}}"#,
      #"positions of user:u must be {"epoch": sixteen hexadecimal digits, "offset": an integer from 0}, not {"epoch":"1","offset":1}"#
    ),
    (
      #"{"positions":{"user:u":{"epoch":"0000000142d1c0aa","offset":-1}}}"#,
      #"positions of user:u must be {"epoch": sixteen hexadecimal digits, "offset": an integer from 0}, not {"epoch":"0000000142d1c0aa","offset":-1}"#
    ),
  ]) func saysWhatIsWrong(text: String, message: String) throws {
    let error = #expect(throws: CallError.self) { try parse(text) }
    #expect(error?.code == .invalidArgument && error?.message == message)
  }

  private func parse(_ text: String) throws -> ConnectRequest {
    try Array(text.utf8).withUnsafeBytes {
      try ConnectRequest(try JSONView(validating: $0), topicsMax: 3)
    }
  }
}
