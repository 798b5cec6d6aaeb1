import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct EraseUserTests {
  @Test func erasesAUser() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(Erased(events: 7, devices: 2, memberships: 1)) }
    #expect(
      try fixture.call("eraseUser", #"{"userId":"ann"}"#)
        == #"{"success":true,"userId":"ann","events":7,"devices":2,"memberships":1}"#)
    #expect(
      (fixture.services.asked.first as? Erase)
        == Erase(user: "ann", issuedBeforeMilliseconds: testNow, untilMilliseconds: testNow + 30 * 86_400_000 + 360_000)
    )
    #expect((fixture.services.presenceRequests as? [ErasePresence]) == [ErasePresence(user: "ann")])
    #expect(fixture.refusal("eraseUser", "{}") == "userId is missing: the id of a user")
    #expect(
      fixture.refusal("eraseUser", #"{"userId":"a","all":true}"#) == #"unknown field "all"; there are: userId"#)
  }

  @Test func needsBothScopes() async throws {
    let fixture = try await CallFixture()
    for (scopes, missing) in [(APIKey.Scopes.membership, "connections"), (.connections, "membership")] {
      let key = APIKey(id: "p", name: "P", owner: "p", scopes: scopes)
      #expect(
        fixture.refusal("eraseUser", #"{"userId":"a"}"#, as: .server(key))
          == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"\(missing)\"")
    }
    #expect(fixture.services.asked.isEmpty)
  }

  /// The log has forgotten them, and the registry has not: that is not done.
  @Test func isNotDoneBeforePresenceHasForgottenThem() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(Erased(events: 7, devices: 2, memberships: 1)) }
    fixture.services.presenceAnswer = { _ in .failure(.presenceAway) }
    let error = #expect(throws: CallError.self) { try fixture.call("eraseUser", #"{"userId":"ann"}"#) }
    #expect(error?.code == .unavailable)
  }

  @Test func saysThatAnUnknownOutcomeIsToBeTriedAgain() async throws {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .failure(CallError(.unavailable, "away")) }
    let error = #expect(throws: CallError.self) { try fixture.call("eraseUser", #"{"userId":"a"}"#) }
    #expect(error?.message == "away; it is not known whether the change was made: call again, that does no harm")
  }
}
