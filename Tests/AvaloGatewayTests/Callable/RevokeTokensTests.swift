import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct RevokeTokensTests {
  private let name = "revokeTokens"
  /// As long as a token is believed.
  private let lifetime: Int64 = 30 * 86_400_000

  private func fixture() async throws -> CallFixture {
    let fixture = try await CallFixture()
    fixture.services.answer = { _ in .success(Revoked()) }
    return fixture
  }

  /// A token is taken for the leeway after its end, whatever that may be set to; until then it is kept, and may be revoked.
  private let margin: Int64 = 360_000

  @Test func aTokenThatIsStillTakenAfterItsEndIsRevoked() async throws {
    #expect(
      try await revocation(#"{"tokenId":"t-1","expiresAt":\#(testNow - 1)}"#)
        == .token("t-1", untilMilliseconds: testNow - 1 + margin))
  }

  private func revocation(_ data: String) async throws -> Revocation? {
    let fixture = try await fixture()
    try fixture.call(name, data)
    return (fixture.services.asked.first as? Revoke)?.revocation
  }

  @Test func revokesAUsersTokensUpToNow() async throws {
    let fixture = try await fixture()
    #expect(
      try fixture.call(name, #"{"userId":"ann"}"#)
        == #"{"success":true,"issuedBefore":\#(testNow),"keptUntil":\#(testNow + lifetime + margin)}"#)
    #expect(
      (fixture.services.asked.first as? Revoke)?.revocation
        == Revocation(.user("ann"), issuedBeforeMilliseconds: testNow, untilMilliseconds: testNow + lifetime + margin))
  }

  @Test func revokesUpToAMoment() async throws {
    let before = testNow - 86_400_000
    #expect(
      try await revocation(#"{"userId":"ann","issuedBefore":\#(before)}"#)
        == Revocation(.user("ann"), issuedBeforeMilliseconds: before, untilMilliseconds: before + lifetime + margin))
    #expect(
      try await revocation(#"{"issuedBefore":\#(before)}"#)
        == Revocation(.everybody, issuedBeforeMilliseconds: before, untilMilliseconds: before + lifetime + margin))
  }

  @Test func revokesOneToken() async throws {
    #expect(
      try await revocation(#"{"tokenId":"t-1"}"#) == .token("t-1", untilMilliseconds: testNow + lifetime + margin))
    #expect(
      try await revocation(#"{"tokenId":"t-1","expiresAt":\#(testNow + 5000)}"#)
        == .token("t-1", untilMilliseconds: testNow + 5000 + margin))
    // Without `iat` it is believed when its end has come near enough.
    #expect(
      try await revocation(#"{"tokenId":"t-1","expiresAt":\#(testNow + 2 * lifetime)}"#)
        == .token("t-1", untilMilliseconds: testNow + 2 * lifetime + margin))
    #expect(
      try await revocation(#"{"userId":"ann","expiresAt":\#(testNow + 2 * lifetime)}"#)
        == Revocation(.user("ann"), issuedBeforeMilliseconds: testNow, untilMilliseconds: testNow + lifetime + margin))
  }

  @Test(arguments: [
    ("{}", "one of userId, tokenId and issuedBefore is needed: whose tokens?"),
    (#"{"userId":"a","tokenId":"t"}"#, "tokenId names one token: userId and issuedBefore do not go with it"),
    (
      #"{"tokenId":"t","issuedBefore":1700000000000}"#,
      "tokenId names one token: userId and issuedBefore do not go with it"
    ),
    (#"{"tokenId":""}"#, #"tokenId must be a token's jti, a text of 1 to 256 bytes, not """#),
    (#"{"issuedBefore":1700000061000}"#, "issuedBefore must not lie in the future"),
    (
      #"{"issuedBefore":1700000000}"#,
      "issuedBefore must be milliseconds since 1970 (1000000000000 to 9999999999999), not 1700000000"
    ),
    (#"{"tokenId":"t","expiresAt":1699999639999}"#, "the tokens have expired already: there is nothing to revoke"),
    (#"{"issuedBefore":1600000000000}"#, "the tokens have expired already: there is nothing to revoke"),
    (#"{"user":"a"}"#, #"unknown field "user"; there are: userId, tokenId, issuedBefore, expiresAt"#),
  ]) func saysWhatIsWrong(data: String, message: String) async throws {
    let fixture = try await fixture()
    #expect(fixture.refusal(name, data) == message)
    #expect(fixture.services.asked.isEmpty)
  }

  @Test func isForServersWithTheScope() async throws {
    let fixture = try await fixture()
    let other = APIKey(id: "p", name: "P", owner: "p", scopes: [.publish, .membership])
    #expect(
      fixture.refusal(name, #"{"userId":"a"}"#, as: .server(other))
        == "PERMISSION_DENIED: the API key \"P\" does not have the scope \"connections\"")
    #expect(
      fixture.refusal(name, #"{"userId":"a"}"#, as: .user(CallFixture.ann))
        == "PERMISSION_DENIED: this function is for servers: call it with an API key")
    #expect(fixture.services.asked.isEmpty)
  }
}
