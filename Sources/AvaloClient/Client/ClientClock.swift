#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The time, as the client sees it: replaced by tests.
protocol ClientClock: Sendable {
  /// Milliseconds since some moment; goes on while the machine sleeps, and never back.
  var now: Int64 { get }
  /// Milliseconds since 1970.
  var wall: Int64 { get }
  /// Returns at that time of ``now``, or throws when the task is cancelled.
  func sleep(until time: Int64) async throws
}

struct SystemClock: ClientClock {
  private let start = ContinuousClock.now

  var now: Int64 { Int64((ContinuousClock.now - start) / .milliseconds(1)) }

  var wall: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
  }

  func sleep(until time: Int64) async throws {
    try await Task.sleep(until: start + .milliseconds(time), clock: .continuous)
  }
}
