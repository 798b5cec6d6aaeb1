import AvaloCore
import Synchronization

/// How much of the log's time a gateway takes for the memberships of who watches: so many chats named in a second, of all
/// its loops together. The loops are not alike, one of them may have nearly all who watch, so they share it.
///
/// A question is charged with the most that its answer may hold, and given back the rest when that has come: what is under
/// way is never more than a second's worth.
final class MembershipPace: Sendable {
  private struct State {
    var second: UInt32 = 0
    /// Chats, of this second.
    var taken = 0
  }

  private let state = Mutex(State())

  /// Takes the place of one question, if this second has it; `nowSeconds` is the monotonic second of the loop. Who is asked
  /// about again has half of it at most: of another loop somebody may be shown nothing yet.
  func take(nowSeconds: UInt32, isAgain: Bool = false) -> Bool {
    state.withLock { state in
      // One loop's second may be behind another's.
      if nowSeconds > state.second { state = State(second: nowSeconds) }
      let max = isAgain ? HubLimits.membershipLookupsPerSecond / 2 : HubLimits.membershipLookupsPerSecond
      guard state.taken + Limits.presenceChatsMax <= max else { return false }
      state.taken += Limits.presenceChatsMax
      return true
    }
  }

  /// The answer to a question that was asked in `second` named so many chats. What is left of an earlier second is no use
  /// to this one.
  func answered(chats: Int, askedIn second: UInt32) {
    let cost = min(max(chats, HubLimits.membershipLookupsMin), Limits.presenceChatsMax)
    state.withLock { state in
      if state.second == second { state.taken -= Limits.presenceChatsMax - cost }
    }
  }
}
