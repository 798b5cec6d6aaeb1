import AvaloCore
import AvaloKeys
import Testing

@testable import AvaloGateway

@Suite struct AccessTests {
  @Test func tellsUsersServersAndNobodyApart() async throws {
    let folder = try TemporaryFolder()
    var random = SystemRandomNumberGenerator()
    let key = AvaloKeys.APIKey(using: &random)
    folder.write("keys.json", #"[{"id":"k","hash":"\#(key.hash)","scopes":["publish"]}]"#)
    let access = try await makeAccess(#""api_keys_file":"keys.json""#, folder: folder)
    let token = try await userToken("ann", chats: ["c"])

    #expect(try access.caller(authorization: nil, now: testNow) == .anonymous)
    for scheme in ["Bearer ", "bearer ", "BEARER  "] {
      guard case .user(let identity) = try access.caller(authorization: scheme + token, now: testNow) else {
        Issue.record("not a user")
        continue
      }
      #expect(identity.user == "ann" && identity.chats == ["c"] && identity.tokenID == "t-ann")
    }
    #expect(
      try access.caller(authorization: "Bearer " + key.text, now: testNow)
        == .server(AvaloGateway.APIKey(id: "k", name: "k", owner: "k", scopes: .publish)))
    for wrong in ["", "Bearer", "Bearer ", "Basic dTpw", token, "Bearer avk_x", "Bearer x.y.z", "Bearer \(token) x"] {
      let error = #expect(throws: CallError.self) { try access.caller(authorization: wrong, now: testNow) }
      #expect(error?.code == .unauthenticated)
    }
  }

  /// The development keys' tool and the gateway agree on what a token and a key are.
  @Test func believesTheTokensTheToolMakes() async throws {
    let folder = try TemporaryFolder()
    let access = try await makeAccess(folder: folder)
    let secret = try #require(SigningSecret(text: testSecret))
    let token = UserToken(user: "bob", chats: ["c1"], issuedAt: testNow / 1000, lifetime: 60, id: "t").signed(
      with: secret)
    let identity = try access.authenticator.authenticate(token, now: testNow)
    #expect(
      identity
        == Identity(
          user: "bob", tokenID: "t", issuedAtMilliseconds: testNow, expiresAtMilliseconds: testNow + 60_000,
          chats: ["c1"]))
  }

  @Test func aReloadReplacesAllOfItOrNothing() async throws {
    let folder = try TemporaryFolder()
    let first = try await makeAccess(folder: folder)
    let shared = SharedAccess(first)
    let settings = try gatewaySettings(#"{"auth":{"secret_file":"gone"},"api_keys_file":"gone"}"#, folder: folder.path)
    let (access, problems) = await Access.load(settings, stateDirectory: folder.path, revocations: .current())
    #expect(access == nil && problems.count == 2)
    #expect(shared.current === first)
    let second = try await makeAccess(#""public_url":"wss://rt.example.com""#, folder: folder)
    shared.replace(with: second)
    #expect(shared.current.settings.publicURL == "wss://rt.example.com")
    // A ticket outlives the reload, and is good at every instance: the key is the folder's.
    let ticket = Ticket(
      id: "x", identity: Identity(user: "u", expiresAtMilliseconds: testNow + 1000),
      request: ConnectRequest(subscriptions: []), expiresAtMilliseconds: testNow + 1000)
    let text = Array(first.tickets.sign(ticket).utf8)
    #expect(try text.withUnsafeBytes { try second.tickets.redeem($0, now: testNow) } == ticket)
  }
}
