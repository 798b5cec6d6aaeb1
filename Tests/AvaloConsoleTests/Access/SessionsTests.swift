import AvaloSystem
import Testing

@testable import AvaloConsole

@Suite struct SessionsTests {
  private let start = MonotonicInstant(nanoseconds: 1_000_000_000)
  private var generator = SystemRandomNumberGenerator()
  private func holder(_ id: String) -> KeyHolder { KeyHolder(hash: "hash-\(id)", id: id, name: id) }

  @Test mutating func knowsATokenUntilItsTimeIsOver() {
    var sessions = Sessions(most: 2)
    let token = sessions.begin(holder("mia"), now: start, time: .seconds(60), using: &generator)
    #expect(token.utf8.count == 43)
    #expect(sessions.session(of: token, now: start + .seconds(59))?.holder == holder("mia"))
    #expect(sessions.session(of: token, now: start + .seconds(60)) == nil)
    #expect(sessions.session(of: token + "x", now: start) == nil)
    #expect(sessions.session(of: "", now: start) == nil)
  }

  @Test mutating func givesEverybodyATokenOfTheirOwn() {
    var sessions = Sessions(most: 100)
    let tokens = (0..<100).map { _ in
      sessions.begin(holder("mia"), now: start, time: .seconds(60), using: &generator)
    }
    #expect(Set(tokens).count == 100)
  }

  @Test mutating func forgetsTheOldestWhenThereAreTooMany() {
    var sessions = Sessions(most: 2)
    let tokens = (0..<3).map { second in
      sessions.begin(holder("mia"), now: start + .seconds(second), time: .seconds(60), using: &generator)
    }
    let known = tokens.map { sessions.session(of: $0, now: start + .seconds(3)) != nil }
    #expect(known == [false, true, true])
    #expect(sessions.count == 2)
  }

  @Test mutating func endsOneAndAllOfAKey() {
    var sessions = Sessions(most: 10)
    let mia = (0..<2).map { _ in sessions.begin(holder("mia"), now: start, time: .seconds(60), using: &generator) }
    let bob = sessions.begin(holder("bob"), now: start, time: .seconds(60), using: &generator)
    sessions.end(mia[0])
    #expect(sessions.session(of: mia[0], now: start) == nil)
    sessions.end(hash: "hash-mia")
    #expect(sessions.session(of: mia[1], now: start) == nil)
    #expect(sessions.session(of: bob, now: start)?.holder.id == "bob")
  }
}
