/// When the next batch may be written: one at a time, and after a failure not before a while, which doubles. A pure state:
/// told what happened and when (monotonic milliseconds).
struct WriteSchedule {
  enum State: Equatable {
    case idle
    /// A batch is with the file.
    case writing
    /// The file took nothing; the next attempt is at `until`.
    case waiting(until: Int64)
  }

  private(set) var state = State.idle
  /// Attempts that failed in a row.
  private(set) var failures = 0

  /// Whether a batch may go now; it is under way then.
  mutating func begin(at now: Int64) -> Bool {
    switch state {
    case .writing: return false
    case .waiting(let until) where now < until: return false
    case .idle, .waiting:
      state = .writing
      return true
    }
  }

  /// The batch is in the file. Whether that ends an outage.
  mutating func succeeded() -> Bool {
    precondition(state == .writing, "nothing was being written: \(state)")
    defer { failures = 0 }
    state = .idle
    return failures > 0
  }

  /// The batch is not in the file. Whether that begins an outage.
  mutating func failed(at now: Int64) -> Bool {
    precondition(state == .writing, "nothing was being written: \(state)")
    let delay = PresenceLimits.retryMillisecondsMin << min(failures, 16)
    state = .waiting(until: now + min(delay, PresenceLimits.retryMillisecondsMax))
    failures += 1
    return failures == 1
  }
}
