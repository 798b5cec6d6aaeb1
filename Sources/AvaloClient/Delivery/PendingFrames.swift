import Synchronization

/// Counts the frames of one connection that have come and were not taken: while the client lags far behind, the socket is
/// not read. Used from any thread.
final class PendingFrames: Sendable {
  private let state = Mutex(State())

  private struct State {
    var count = 0
    var isHeld = false
    var link: (any TransportLink)?
  }

  /// Whose frames they are.
  func attach(_ link: any TransportLink) {
    let isHeld = state.withLock {
      $0.link = link
      return $0.isHeld
    }
    if isHeld { link.setReading(false) }
  }

  /// The connection is over, and its link no longer held by what it tells.
  func detach() { state.withLock { $0.link = nil } }

  /// One has come; at the bound, and at each as many more, since the socket may be read for another reason, it is held.
  func came() {
    let held: (any TransportLink)? = state.withLock {
      $0.count += 1
      guard $0.count.isMultiple(of: ClientLimits.framesHigh) else { return nil }
      $0.isHeld = true
      return $0.link
    }
    held?.setReading(false)
  }

  /// One was taken. Answers whether the socket may be read again.
  func taken() -> Bool {
    state.withLock {
      $0.count -= 1
      guard $0.isHeld, $0.count <= ClientLimits.framesLow else { return false }
      $0.isHeld = false
      return true
    }
  }
}
