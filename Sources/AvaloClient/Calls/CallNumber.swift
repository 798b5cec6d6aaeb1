import Synchronization

/// The number of a call whose task may be cancelled before, while or after it gets one. Used from any thread.
final class CallNumber: Sendable {
  private let state = Mutex((number: Int?.none, isCancelled: false))

  /// Whether it is cancelled already.
  func set(_ number: Int) -> Bool {
    state.withLock {
      $0.number = number
      return $0.isCancelled
    }
  }

  /// The number, if there is one.
  func cancel() -> Int? {
    state.withLock {
      $0.isCancelled = true
      return $0.number
    }
  }
}
