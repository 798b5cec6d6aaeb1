import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct FreshRemovalsTests {
  private let clock = ManualClock()
  private var now: MonotonicInstant { clock.monotonic.now }

  private func chats(_ removals: inout FreshRemovals) -> [String] { removals.takeForLink(at: now).map(\.chat) }

  @Test func forgetsWhatTheFileHas() {
    var removals = FreshRemovals()
    removals.append(PartnershipsEnded(chat: "a", users: ["ann"]), at: now)
    clock.advance(by: GatewayLimits.freshRemovalAge - .seconds(1))
    removals.append(PartnershipsEnded(chat: "b", users: ["ann", "bob"]), at: now)
    removals.forgetWritten(at: now)
    #expect(removals.users == 3)
    clock.advance(by: .seconds(1))
    removals.forgetWritten(at: now)
    let told = chats(&removals)
    #expect(told == ["b"] && removals.users == 2)
  }

  /// The next worker may die, too.
  @Test func whatWasToldAgainIsFreshAgain() {
    var removals = FreshRemovals()
    removals.append(PartnershipsEnded(chat: "a", users: ["ann"]), at: now)
    clock.advance(by: .seconds(60))
    let first = chats(&removals)
    clock.advance(by: GatewayLimits.freshRemovalAge - .seconds(1))
    removals.forgetWritten(at: now)
    let second = chats(&removals)
    #expect(first == ["a"] && second == ["a"])
  }

  @Test func ofTooManyTheOldestGo() {
    var removals = FreshRemovals()
    let half = (0..<(GatewayLimits.freshRemovalsMax / 2)).map { "u\($0)" }
    for chat in ["a", "b", "c"] { removals.append(PartnershipsEnded(chat: chat, users: half), at: now) }
    removals.append(PartnershipsEnded(chat: "d", users: ["ann"]), at: now)
    let told = chats(&removals)
    #expect(told == ["c", "d"] && removals.users == half.count + 1)
  }
}
