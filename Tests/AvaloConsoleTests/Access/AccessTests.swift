import AvaloSystem
import Testing

@testable import AvaloConsole

@Suite(.timeLimit(.minutes(2))) struct AccessTests {
  private let clock = ManualClock()

  @Test func letsAKeyOfTheScopeInAndAsksOnlyForItsHash() async throws {
    let player = try await ControlPlayer()
    player.answer("/workers/gateway/api-keys", #"{"keys":[{"id":"mia","name":"Mia","scopes":["read","console"]}]}"#)
    let access = player.access(clock: clock.monotonic)
    guard case .done(let token, let holder) = await access.signIn("avk_x") else { throw CancellationError() }
    #expect(holder.name == "Mia" && holder.id == "mia")
    #expect(await access.holder(of: token) == holder)
    #expect(player.asked.withLock { $0 } == ["/workers/gateway/api-keys?hash=\(KeyDesk.hash(of: "avk_x"))"])
    await access.signOut(token)
    #expect(await access.holder(of: token) == nil)
    await player.stop()
  }

  @Test func refusesAKeyThatIsUnknownOrHasAnotherScope() async throws {
    let player = try await ControlPlayer()
    player.know(key: "avk_x", scopes: #"["read","publish"]"#)
    let access = player.access(clock: clock.monotonic)
    #expect(await access.signIn("avk_x") == .refused)
    #expect(await access.signIn("avk_y") == .refused)
    #expect(await access.holder(of: nil) == nil)
    #expect(await access.holder(of: "") == nil)
    await player.stop()
  }

  @Test func refusesToListenAfterTooManyFailuresEvenToTheRightKey() async throws {
    let player = try await ControlPlayer()
    player.know(key: "avk_right")
    let access = player.access(clock: clock.monotonic)
    for _ in 0..<ConsoleLimits.loginBurst { #expect(await access.signIn("avk_wrong") == .refused) }
    #expect(await access.signIn("avk_right") == .tooMany(wait: ConsoleLimits.loginRefill))
    clock.advance(by: ConsoleLimits.loginRefill)
    guard case .done = await access.signIn("avk_right") else { throw CancellationError() }
    await player.stop()
  }

  @Test func aRevokedKeyStopsLookingWithinSeconds() async throws {
    let player = try await ControlPlayer()
    player.know(key: "avk_x")
    let access = player.access(clock: clock.monotonic)
    guard case .done(let token, _) = await access.signIn("avk_x") else { throw CancellationError() }
    player.know(key: "another")
    #expect(await access.holder(of: token) != nil, "it was asked for just now")
    clock.advance(by: ConsoleLimits.recheckTime)
    #expect(await access.holder(of: token) == nil)
    player.know(key: "avk_x")
    #expect(await access.holder(of: token) == nil, "what has ended does not begin again by itself")
    await player.stop()
  }

  @Test func aGatewayThatIsAwayLetsNobodyInAndSendsNobodyOut() async throws {
    let player = try await ControlPlayer()
    player.know(key: "avk_x")
    let access = player.access(clock: clock.monotonic)
    guard case .done(let token, _) = await access.signIn("avk_x") else { throw CancellationError() }
    await player.stop()
    clock.advance(by: ConsoleLimits.recheckTime)
    #expect(await access.holder(of: token) != nil)
    for _ in 0..<(2 * ConsoleLimits.loginBurst) {
      guard case .unavailable = await access.signIn("avk_x") else { throw CancellationError() }
    }
    clock.advance(by: .seconds(12 * 3600))
    #expect(await access.holder(of: token) == nil, "its time is over all the same")
  }

  @Test func readsTheGatewaysAnswer() {
    func read(_ text: String) -> KeyDesk.Answer? { KeyDesk.read(Array(text.utf8), "h") }
    #expect(read(#"{"keys":[]}"#) == .refused)
    #expect(
      read(#"{"keys":[{"id":"a","name":"A","owner":"a","scopes":["console"]}]}"#)
        == .known(KeyHolder(hash: "h", id: "a", name: "A")))
    #expect(read(#"{"keys":[{"id":"a","scopes":["consoles"]}]}"#) == .refused)
    // A gateway of an earlier version tells all keys, whatever it is asked: none of them is taken for the one.
    #expect(read(#"{"keys":[{"id":"a","scopes":["console"]},{"id":"b","scopes":["console"]}]}"#) == nil)
    for nonsense in ["", "{}", "[]", #"{"keys":{}}"#, #"{"keys":[{}]}"#] {
      #expect(read(nonsense) == nil, "\(nonsense)")
    }
  }

  @Test func hashesAKeyAsTheFileHasIt() {
    // printf %s abc | sha256sum
    #expect(KeyDesk.hash(of: "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
