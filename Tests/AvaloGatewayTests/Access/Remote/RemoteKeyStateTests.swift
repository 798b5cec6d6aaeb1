import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct RemoteKeyStateTests {
  private let start = MonotonicInstant(nanoseconds: 1_000_000_000_000)
  private let keys = VerificationKeys()
  private var state = RemoteKeyState(
    RemoteKeySettings(source: .jwksURL, url: "https://x/", refresh: .seconds(600), staleMax: .seconds(3600)))

  private mutating func miss(at now: MonotonicInstant, _ hope: Bool, _ location: SourceLocation = #_sourceLocation) {
    let answer = state.miss(at: now)
    #expect(answer == hope, sourceLocation: location)
  }

  @Test mutating func isDueAtOnceThenAfterTheInterval() {
    #expect(state.due() <= start)
    #expect(state.current(at: start) == nil)
    state.fetched(keys, at: start)
    #expect(state.current(at: start) != nil)
    #expect(state.due() == start + .seconds(600))
  }

  @Test mutating func failuresAreTriedEverMoreRarelyAndTheKeysGoStale() {
    state.fetched(keys, at: start)
    var now = start + .seconds(600)
    var delays: [Duration] = []
    for _ in 0..<9 {
      state.failed(at: now)
      delays.append(state.due() - now)
      now = state.due()
    }
    #expect(delays.map(\.components.seconds) == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    #expect(state.current(at: start + .seconds(3599)) != nil)
    #expect(state.current(at: start + .seconds(3600)) == nil)
    state.fetched(keys, at: now)
    #expect(state.due() == now + .seconds(600))
  }

  @Test mutating func anUnknownKeyIsAskedForNowAndThen() {
    miss(at: start, true)  // nothing was fetched yet
    state.fetched(keys, at: start)
    miss(at: start + .seconds(1), false)  // nobody has it: it was looked for a moment ago
    #expect(state.due() == start + .seconds(600))
    miss(at: start + .seconds(30), true)
    #expect(state.due() == start + .seconds(30))
    state.fetched(keys, at: start + .seconds(31))
    miss(at: start + .seconds(32), false)
    // While the issuer is away, there is hope, and no more asking than before.
    state.failed(at: start + .seconds(700))
    miss(at: start + .seconds(700), true)
    #expect(state.due() == start + .seconds(701))
  }

  @Test mutating func whatAnEarlierRunFetchedIsGoodForTheRestOfItsTime() {
    state.remembered(keys, age: .seconds(3000), at: start)
    #expect(state.due() <= start)
    #expect(state.current(at: start + .seconds(599)) != nil)
    #expect(state.current(at: start + .seconds(600)) == nil)
    #expect(state.age(at: start) == .seconds(3000))
  }
}
