import AvaloSystem

/// Decides how long an instance waits before it is started again. Pure; one per instance.
///
/// Before READY the cause is most likely still there (settings, a missing file), so the delay doubles. After READY it
/// is most likely gone with the process, and clients are waiting: at once, unless that happens too often in a row,
/// which a credit tells that comes back second by second.
struct RestartThrottle: Equatable, Sendable {
  /// Deaths in a row before READY.
  private(set) var failures = 0
  /// How far the delay after READY has doubled; 0 is "at once".
  private(set) var level = 0
  private var credit = SupervisorLimits.promptRestartsMax
  private var creditedAt: MonotonicInstant?

  mutating func becameReady() { failures = 0 }

  mutating func delayBeforeReady(_ delays: RestartDelays) -> Duration {
    failures += 1
    return RestartThrottle.doubled(delays, times: failures - 1)
  }

  /// - `uptime`: since READY.
  mutating func delayAfterReady(_ delays: RestartDelays, uptime: Duration, now: MonotonicInstant) -> Duration {
    if uptime >= SupervisorLimits.stableUptime {
      self = RestartThrottle()
    } else if let creditedAt {
      let regained = (now - creditedAt).inSeconds * SupervisorLimits.promptRestartsPerSecond
      credit = min(SupervisorLimits.promptRestartsMax, credit + regained)
    }
    creditedAt = now
    if level == 0, credit >= 1 {
      credit -= 1
      return .zero
    }
    level += 1
    return RestartThrottle.doubled(delays, times: level - 1)
  }

  private static func doubled(_ delays: RestartDelays, times: Int) -> Duration {
    // 2^30 times the least delay is above any maximum.
    min(delays.max, delays.min * (1 << min(times, 30)))
  }
}
