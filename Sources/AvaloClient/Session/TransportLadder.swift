/// Which transport is used: the best one that passes here. A pure value; transports are known by their place, the best
/// one first.
struct TransportLadder {
  private(set) var current = 0
  private let count: Int
  private var failures = 0
  private var probes = 0

  init(count: Int) {
    precondition(count > 0, "a client without a transport")
    self.count = count
  }

  /// The transport works here.
  mutating func ready() {
    failures = 0
    if current == 0 { probes = 0 }
  }

  /// An attempt ended before it was ready, and not because the server said so.
  mutating func failed() {
    failures += 1
    // A proxy that stops WebSockets does so each time; what is below it fails by a network that is not there.
    guard failures >= (current == 0 ? ClientLimits.failuresPerTransport : 1) else { return }
    failures = 0
    current = (current + 1) % count
  }

  /// Milliseconds until a look whether the best one passes after all; `nil` when it is in use.
  mutating func nextProbe() -> Int64? {
    guard current != 0 else { return nil }
    defer { probes += 1 }
    return ClientLimits.upgradeDelays[min(probes, ClientLimits.upgradeDelays.count - 1)]
  }

  /// It does.
  mutating func upgrade() {
    current = 0
    failures = 0
  }
}
