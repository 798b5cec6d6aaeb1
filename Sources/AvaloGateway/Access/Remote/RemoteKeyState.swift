import AvaloSystem

/// When a key set is to be fetched, and whether what was fetched is still good. Pure.
struct RemoteKeyState: Sendable {
  private let refresh: Duration
  private let staleMax: Duration
  private(set) var keys: VerificationKeys?
  /// Until when `keys` may be used. Not since when: that may lie before the machine's start.
  private var goodUntil: MonotonicInstant?
  private(set) var triedAt: MonotonicInstant?
  /// Tries in a row that brought nothing.
  private(set) var failures = 0
  /// A token named a key that is not here.
  private(set) var isWanted = false

  init(_ settings: RemoteKeySettings) {
    refresh = settings.refresh
    staleMax = settings.staleMax
  }

  /// The keys, unless they were fetched too long ago.
  func current(at now: MonotonicInstant) -> VerificationKeys? {
    guard let goodUntil, now < goodUntil else { return nil }
    return keys
  }

  /// Since the keys were fetched; `nil` when they never were.
  func age(at now: MonotonicInstant) -> Duration? { goodUntil.map { staleMax - ($0 - now) } }

  /// Between two fetches that unknown keys cause.
  private var spacing: Duration { min(GatewayLimits.keyRefetchSpacing, refresh) }

  /// When it is to be tried next.
  func due() -> MonotonicInstant {
    guard let triedAt else { return MonotonicInstant(nanoseconds: 0) }
    if failures > 0 {
      let delay = GatewayLimits.keyRetryMin * (1 << min(failures - 1, 10))
      return triedAt + min(delay, GatewayLimits.keyRetryMax, refresh)
    }
    return triedAt + (isWanted ? spacing : refresh)
  }

  /// A token came whose key is not here: perhaps the issuer has a new one. Answers whether there is hope, which there is
  /// not right after a fetch: then nobody has that key.
  mutating func miss(at now: MonotonicInstant) -> Bool {
    guard failures == 0, let triedAt else { return true }
    guard now - triedAt >= spacing else { return false }
    isWanted = true
    return true
  }

  mutating func fetched(_ keys: VerificationKeys, at now: MonotonicInstant) {
    self.keys = keys
    goodUntil = now + staleMax
    triedAt = now
    failures = 0
    isWanted = false
  }

  mutating func failed(at now: MonotonicInstant) {
    triedAt = now
    failures += 1
  }

  /// Keys that an earlier run had fetched that long ago; they count as good, and as due.
  mutating func remembered(_ keys: VerificationKeys, age: Duration, at now: MonotonicInstant) {
    self.keys = keys
    goodUntil = now + max(.zero, staleMax - age)
  }
}
