import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct OutboxPolicyTests {
  @Test(arguments: [
    StatusCode.invalidArgument, .notFound, .alreadyExists, .permissionDenied, .outOfRange, .failedPrecondition,
  ])
  func dropsWhatTheServerWillNeverHave(code: StatusCode) {
    #expect(OutboxPolicy.outcome(ClientError.refused(CallError(code, ""))) == .drop)
  }

  @Test(arguments: [StatusCode.unavailable, .deadlineExceeded, .resourceExhausted, .aborted, .internal])
  func triesAgainWhatMaySucceedLater(code: StatusCode) {
    #expect(OutboxPolicy.outcome(ClientError.refused(CallError(code, ""))) == .retry)
  }

  @Test func waitsForAnotherConnectionWhereThisOneCannotHelp() {
    let errors: [any Error] = [
      ClientError.refused(CallError(.unauthenticated, "")), ClientError.disconnected(.client), CancellationError(),
    ]
    for error in errors { #expect(OutboxPolicy.outcome(error) == .wait, "\(error)") }
    #expect(OutboxPolicy.outcome(ClientError.timedOut("")) == .retry)
  }

  @Test func keepsAThingAsLongAsTheServerWould() {
    #expect(OutboxPolicy.ttlMilliseconds("chat_message") == 86_400_000)
    #expect(OutboxPolicy.ttlMilliseconds("feed_update") == 3_600_000)
    #expect(OutboxPolicy.ttlMilliseconds("updatePresenceV1") == 300_000)
    #expect(OutboxPolicy.ttlMilliseconds("markChatAsReadV1") == 86_400_000)
  }

  @Test func waitsLongerEachTimeAndAsLongAsItIsTold() {
    let delays = (1...7).map { OutboxPolicy.delay($0, CancellationError()) { 1 } }
    #expect(delays == [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    let told = ClientError.refused(CallError(.unavailable, "", retryAfterMilliseconds: 5_000))
    #expect(OutboxPolicy.delay(1, told) { 0 } == 5_000)
  }
}
