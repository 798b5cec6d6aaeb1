import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct ClientFrameTests {
  private let position = Position(epoch: Epoch(rawValue: 0x1_42d1_c0aa), offset: 17)

  @Test func writesConnect() {
    let request = ConnectRequest(
      .token("a.b.c"), deviceID: "d", platform: .web, connectionID: "c", subscriptions: ["user:u", "chat:x"],
      positions: ["user:u": position])
    #expect(
      ClientFrame.connect(request).text.description == #"""
        {"connect":{"token":"a.b.c","deviceId":"d","platform":"web","connectionId":"c","subscriptions":["user:u",\#
        "chat:x"],"positions":{"user:u":{"epoch":"0000000142d1c0aa","offset":17}}}}
        """#)
  }

  @Test func writesAConnectThatSaysNothingButTheToken() {
    #expect(ClientFrame.connect(ConnectRequest(.token("t"))).text.description == #"{"connect":{"token":"t"}}"#)
  }

  @Test func writesCallsAcknowledgementsAndPings() throws {
    let data = try JSONText(validating: #"{"a":1}"#)
    #expect(ClientFrame.call(id: 7, name: "f", data: data).text.description == #"{"id":7,"call":"f","data":{"a":1}}"#)
    #expect(
      ClientFrame.acknowledge(["user:u": position]).text.description
        == #"{"ack":[{"topic":"user:u","epoch":"0000000142d1c0aa","offset":17}]}"#)
    #expect(ClientFrame.ping(id: nil).text.description == #"{"ping":{}}"#)
    #expect(ClientFrame.ping(id: 2).text.description == #"{"id":2,"ping":{}}"#)
  }
}
