import Glibc

/// How many connections the process's descriptors are enough for (RLIMIT_NOFILE).
///
/// Some are kept for ourselves: without one no link to a worker could be made anew, no page of metrics be answered. Some
/// more are kept from the WebSockets, which stay, for the calls, which come and go: a backend can publish to a gateway that
/// is full.
struct DescriptorBudget: Sendable, Equatable {
  /// Connections of any kind.
  let connectionsMax: Int
  let webSocketsMax: Int

  /// - `limit`: the soft limit of the process.
  /// - `used`: what it has open before it accepts anything.
  init(limit: Int, used: Int) {
    let kept = min(
      max(limit / 64, TransportLimits.descriptorsKept.lowerBound), TransportLimits.descriptorsKept.upperBound)
    connectionsMax = max(1, limit - used - kept)
    webSocketsMax = max(1, connectionsMax - kept)
  }

  /// Of this process, now.
  static func current() -> DescriptorBudget {
    var limit = rlimit()
    // Cannot fail with these arguments.
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return DescriptorBudget(limit: Int(clamping: limit.rlim_cur), used: openDescriptors())
  }

  private static func openDescriptors() -> Int {
    guard let folder = opendir("/proc/self/fd") else { return TransportLimits.descriptorsUsedGuess }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    // Two names of folders, and the folder's own descriptor.
    return count - 3
  }
}
