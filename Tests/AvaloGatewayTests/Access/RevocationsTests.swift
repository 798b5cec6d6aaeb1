import AvaloCore
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct RevocationsTests {
  private let clock = ManualClock()
  private let ann = TokenName(user: "ann", tokenID: "t", issuedAtMilliseconds: 100)

  private func refusal(_ revocations: Revocations) -> StatusCode? {
    do throws(CallError) {
      try revocations.check(ann)
      return nil
    } catch {
      return error.code
    }
  }

  @Test func nothingIsKnownBeforeTheSchedulerHasSpoken() {
    let revocations = Revocations(clock: clock.monotonic)
    #expect(!revocations.isCurrent && refusal(revocations) == .unavailable)
    revocations.stayCurrent()
    #expect(revocations.isCurrent && refusal(revocations) == nil)
  }

  @Test func whatIsKnownGrowsOldInASecond() {
    let revocations = Revocations(clock: clock.monotonic)
    revocations.stayCurrent()
    clock.advance(by: GatewayLimits.accessAgeMax - .milliseconds(1))
    #expect(refusal(revocations) == nil)
    clock.advance(by: .milliseconds(1))
    #expect(refusal(revocations) == .unavailable)
    revocations.stayCurrent()
    #expect(refusal(revocations) == nil)
  }

  @Test func followsTheSteps() {
    let revocations = Revocations(clock: clock.monotonic)
    revocations.stayCurrent()
    revocations.begin(RevocationTable([.token("other", untilMilliseconds: 1)]))
    #expect(revocations.count == 1 && refusal(revocations) == nil)
    let revocation = Revocation(.user("ann"), issuedBeforeMilliseconds: 101, untilMilliseconds: 1)
    revocations.apply([.revoked(revocation), .removed(Topic("chat:c")!, users: ["ann"])])
    #expect(refusal(revocations) == .unauthenticated)
    revocations.apply([.released(.user("ann"))])
    #expect(refusal(revocations) == nil)
    // The state takes the place of all that was.
    revocations.begin(RevocationTable())
    #expect(revocations.isEmpty)
  }

  @Test func isAskedForEveryUsersTokenAndNoServersKey() async throws {
    let folder = try TemporaryFolder()
    let access = try await makeAccess(folder: folder)
    let authorization = "Bearer " + (try await userToken("ann"))
    _ = try access.caller(authorization: authorization, now: testNow)
    access.revocations.apply([.revoked(.token("t-ann", untilMilliseconds: .max))])
    let error = #expect(throws: CallError.self) { try access.caller(authorization: authorization, now: testNow) }
    #expect(error == .revoked)
    #expect(try access.caller(authorization: nil, now: testNow) == .anonymous)
  }
}
