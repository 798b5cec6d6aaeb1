import CAvalo
import Glibc
import Synchronization

/// Makes a loop take a turn, from any thread. Cheap when the loop is going to turn anyway: only the first of many calls
/// before that turn costs a system call.
public final class Waker: Sendable {
  private let signalled = Atomic<Bool>(false)
  private let signal: @Sendable () -> Void

  /// `signal` must lead to `answered()` on the loop, followed by a look at every mailbox.
  package init(signal: @escaping @Sendable () -> Void) {
    self.signal = signal
  }

  public func wake() {
    // Both orderings: what was posted before the call must be visible to the turn that answers it.
    if !signalled.exchange(true, ordering: .acquiringAndReleasing) { signal() }
  }

  /// On the loop, before it drains: mail posted after this wakes it again.
  package func answered() {
    _ = signalled.exchange(false, ordering: .acquiringAndReleasing)
  }
}
