import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct DisconnectUserTests {
  private let name = "disconnectUser"

  @Test func endsAUsersConnections() async throws {
    let fixture = try await CallFixture()
    fixture.services.presenceAnswer = { _ in .success(Disconnected(count: 2)) }
    #expect(try fixture.call(name, #"{"userId":"ann"}"#) == #"{"success":true,"disconnected":2}"#)
    try fixture.call(name, #"{"userId":"ann","connectionId":"conn_1","reconnect":true}"#)
    #expect(
      fixture.services.presenceRequests as? [Disconnect] == [
        Disconnect(user: "ann", connectionID: "", mayReturn: false),
        Disconnect(user: "ann", connectionID: "conn_1", mayReturn: true),
      ])
  }

  @Test func refusesWhatItCannotDo() async throws {
    let fixture = try await CallFixture()
    for (data, message) in [
      ("{}", "userId is missing: whose connections are to end"),
      (#"{"userId":"a","reconnect":"yes"}"#, #"reconnect must be true or false, not "yes""#),
      (#"{"userId":"a","reason":"x"}"#, #"unknown field "reason"; there are: userId, connectionId, reconnect"#),
    ] {
      #expect(fixture.refusal(name, data) == message)
    }
    #expect(
      fixture.refusal(name, #"{"userId":"bob"}"#, as: .user(CallFixture.ann))?.hasPrefix("PERMISSION_DENIED") == true)
  }
}
