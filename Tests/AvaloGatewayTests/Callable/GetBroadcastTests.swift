import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct GetBroadcastTests {
  private let name = "getBroadcast"

  @Test(arguments: [
    (Int64(0), #""state":"running""#, #""finishedAt":null}"#),
    (1_698_620_000_001, #""state":"finished""#, #""finishedAt":1698620000001}"#),
  ]) func tellsHowFarItIs(finished: Int64, state: String, end: String) async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in
      .success(
        BroadcastStatus(
          eventID: "e", recipients: 1500, done: 1200, failed: 3, startedMilliseconds: 1_698_620_000_000,
          finishedMilliseconds: finished))
    }
    let answer = try fixture.call(name, #"{"broadcastId":"bct_f000000000000abc"}"#)
    #expect(
      answer
        == #"{"broadcastId":"bct_f000000000000abc","eventId":"e",\#(state),"recipients":1500,"done":1200,"failed":3,"startedAt":1698620000000,\#(end)"#
    )
    #expect(
      (fixture.services.asked.first as? BroadcastQuery)
        == BroadcastQuery(owner: "backend", broadcast: 0xF000_0000_0000_0ABC))
  }

  @Test(arguments: [
    ("{}", "broadcastId is missing: which broadcast?"),
    (#"{"broadcastId":"bct_1"}"#, #"broadcastId must be the broadcastId of an answer, not "bct_1""#),
    (
      #"{"broadcastId":"bct_+000000000000abc"}"#,
      #"broadcastId must be the broadcastId of an answer, not "bct_+000000000000abc""#
    ),
    (#"{"id":1}"#, #"unknown field "id"; there are: broadcastId"#),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    #expect(try await CallFixture().refusal(name, data) == message)
  }

  @Test func isForServersWithTheScope() async throws {
    let fixture = try await CallFixture()
    let publisher = APIKey(id: "p", name: "P", owner: "p", scopes: .publish)
    #expect(
      fixture.refusal(name, #"{"broadcastId":"bct_f000000000000abc"}"#, as: .server(publisher))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"broadcast\"")
  }
}
