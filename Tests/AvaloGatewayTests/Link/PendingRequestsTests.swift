import AvaloCore
import Testing

@testable import AvaloGateway

@Suite struct PendingRequestsTests {
  @Test func whatWaitedTooLongIsGivenUpInTheOrderItWasAsked() {
    var pending = PendingRequests<Void>(max: 100)
    for _ in 0..<50 {
      let correlation = pending.nextCorrelation()
      pending.insert(
        .init(correlation: correlation, frame: [], deadlineNanoseconds: correlation > 40 ? 9 : 5, complete: { _ in }))
    }
    let expired = pending.expired(nowNanoseconds: 5).map(\.correlation)
    #expect(expired == Array(1...40))
    #expect(pending.count == 10)
  }
}
