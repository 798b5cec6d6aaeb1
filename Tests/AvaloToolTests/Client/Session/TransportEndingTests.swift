import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct TransportEndingTests {
  @Test(arguments: [
    (4501, DisconnectReason.permissionDenied), (4502, .badFrame), (4503, .limit), (4504, .featureDisabled),
    (4505, .disconnected), (4506, .superseded), (4999, .disconnected),
  ])
  func saysWhatStopsAClient(code: Int, reason: DisconnectReason) {
    #expect(TransportEnding(code: code).kind == .stop(reason))
  }

  @Test(arguments: [4004, 4500, 4507]) func saysWhatAnotherTokenMends(code: Int) {
    #expect(TransportEnding(code: code).kind == .unauthenticated)
  }

  @Test(arguments: [0, 1000, 1001, 1006, 1012, 4000, 4001, 4002, 4003, 4005, 4006, 4007, 4400])
  func comesBackAfterTheRest(code: Int) { #expect(TransportEnding(code: code).kind == .retry) }

  @Test func aPauseIsAskedForWithItsLength() {
    #expect(TransportEnding(code: 4000, retryAfterMilliseconds: 0).kind == .goaway)
    #expect(TransportEnding(code: 4007, retryAfterMilliseconds: 10).kind == .retry)
  }

  @Test func aStatusOverHTTPIsTheCodeItWouldBe() {
    #expect(TransportEnding(status: .unauthenticated).kind == .unauthenticated)
    #expect(TransportEnding(status: .permissionDenied).kind == .stop(.permissionDenied))
    #expect(TransportEnding(status: .invalidArgument).kind == .stop(.badFrame))
    #expect(TransportEnding(status: .unavailable).kind == .retry)
  }

  /// A poll that a server ended has a code beside its status.
  @Test func aCodeOverHTTPSaysMoreThanItsStatus() throws {
    for (status, code, kind) in [
      ("FAILED_PRECONDITION", 4505, TransportEnding.Kind.stop(.disconnected)), ("ABORTED", 4005, .retry),
    ] {
      let text = #"{"error":{"status":"\#(status)","message":"m","details":{"code":\#(code),"reason":"r"}}}"#
      let error = #expect(throws: ClientError.self) {
        try CallableClient.result(of: HTTPReply(status: 400, headers: [], body: Array(text.utf8)))
      }
      let ending = TransportEnding(try #require(error))
      #expect(ending.code == code && ending.kind == kind)
    }
  }

  @Test func onlyTheServersWordSaysNothingOfTheWay() {
    #expect(TransportEnding(code: 4001).isTheServersWord)
    #expect(TransportEnding(.refused(CallError(.unavailable, "later"))).isTheServersWord)
    #expect(!TransportEnding(code: 1006).isTheServersWord)
    #expect(!TransportEnding(.unreachable("nobody there")).isTheServersWord)
  }
}
