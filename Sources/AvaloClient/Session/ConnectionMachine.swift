/// The life of a client's connection as a pure state machine: inputs and the time in, actions out. It knows no socket
/// and no clock; ``RealtimeClient`` does what it says. Times are milliseconds of any clock that never goes back.
///
/// Every attempt, from its token to its last close, has one generation. Whatever arrives for another generation is of
/// the past and changes nothing: a late close, a token that took too long.
struct ConnectionMachine {
  enum Phase: Hashable, CaseIterable {
    /// Nobody asked for a connection.
    case idle
    /// A token is being fetched.
    case token
    /// The transport is opening, or open and not ready.
    case opening
    case connected
    /// Until the next attempt's time.
    case waiting
    /// Until the network is back.
    case offline
    /// Something must change first.
    case stopped
  }

  enum Action: Equatable {
    /// Get a token, then say `tokenReady` or `tokenFailed`.
    case fetchToken(generation: Int, force: Bool)
    /// Open the transport at this place of the ladder.
    case open(generation: Int, transport: Int)
    /// Close the transport, if there is one.
    case drop
    /// Find out at once whether the connection is alive.
    case probe
  }

  private(set) var phase = Phase.idle
  private(set) var generation = 0
  /// Failures since a connection was last stable; not counted while there is no network.
  private(set) var attempts = 0
  /// Set while idle or stopped.
  private(set) var reason: DisconnectReason? = .client
  /// There has been a connection since `connect`, or an attempt at one.
  private(set) var wasTried = false
  private(set) var ladder: TransportLadder
  /// When to call ``tick(_:)``.
  private(set) var due: Int64?

  private let reconnectInterval: Int
  private let attemptsMax: Int
  private let draw: @Sendable () -> Double
  private var isOnline = true
  /// A token can be refreshed: it comes from a function.
  private var isRefreshable = false
  /// The one forced refresh is used up until a connection is stable.
  private var isRefreshed = false
  private var isForced = false
  /// The server said when to come back: nothing of ours is a reason to come earlier.
  private var isTold = false

  /// - `reconnectInterval`: the first delay's bound, in milliseconds.
  /// - `attemptsMax`: failures in a row after which it rests.
  /// - `draw`: random numbers, 0 ≤ x < 1.
  init(reconnectInterval: Int, attemptsMax: Int, transports: Int, draw: @escaping @Sendable () -> Double) {
    self.reconnectInterval = reconnectInterval
    self.attemptsMax = attemptsMax
    self.draw = draw
    ladder = TransportLadder(count: transports)
  }

  // MARK: What the application wants

  /// - `isRefreshable`: asking for a token again may bring another one.
  mutating func connect(isRefreshable: Bool, now: Int64) -> [Action] {
    self.isRefreshable = isRefreshable
    isRefreshed = false
    isForced = false
    attempts = 0
    let dropped = drop()
    wasTried = false
    return dropped + attempt(now)
  }

  mutating func disconnect() -> [Action] { stop(.client, in: .idle) }

  /// There is another token, from outside.
  mutating func newToken(isRefreshable: Bool, now: Int64) -> [Action] {
    self.isRefreshable = isRefreshable
    guard phase == .stopped else { return [] }
    isRefreshed = false
    isForced = false
    attempts = 0
    return attempt(now)
  }

  /// The connection is to be made again, at once: its topics changed, or a better transport is there.
  mutating func reopen(upgrade: Bool = false, now: Int64) -> [Action] {
    guard phase == .connected || phase == .opening else { return [] }
    if upgrade { ladder.upgrade() }
    return drop() + attempt(now)
  }

  /// There is another token for a connection that cannot be told: it is made again with that one, and nobody is asked for
  /// it once more.
  mutating func renew(now: Int64) -> [Action] {
    guard phase == .connected || phase == .opening else { return [] }
    let dropped = drop()
    // Answered already, if there is a network.
    _ = attempt(now)
    return dropped + tokenReady(generation, now: now)
  }

  // MARK: What became of an attempt

  mutating func tokenReady(_ generation: Int, now: Int64) -> [Action] {
    guard generation == self.generation, phase == .token else { return [] }
    isForced = false
    phase = .opening
    due = now + Int64(ClientLimits.connectTimeoutMilliseconds)
    return [.open(generation: generation, transport: ladder.current)]
  }

  /// - `isSignedOut`: there is nobody to connect as. Otherwise the token could not be had just now.
  mutating func tokenFailed(_ generation: Int, isSignedOut: Bool, now: Int64) -> [Action] {
    guard generation == self.generation, phase == .token else { return [] }
    return isSignedOut ? stop(.unauthenticated) : failed(now)
  }

  mutating func ready(_ generation: Int, now: Int64) -> [Action] {
    guard generation == self.generation, phase == .opening else { return [] }
    phase = .connected
    reason = nil
    ladder.ready()
    due = now + ClientLimits.stableAfter
    return []
  }

  /// The transport has ended, or was given up.
  mutating func closed(_ generation: Int, _ ending: TransportEnding, now: Int64) -> [Action] {
    guard generation == self.generation, phase == .opening || phase == .connected else { return [] }
    if phase == .opening, !ending.isTheServersWord { ladder.failed() }
    switch ending.kind {
    case .stop(let reason): return stop(reason)
    case .unauthenticated: return refused(now)
    case .goaway: return failed(now, retryAfter: ending.retryAfterMilliseconds ?? 0, isAsked: true)
    case .retry: return failed(now, retryAfter: ending.retryAfterMilliseconds ?? 0)
    }
  }

  // MARK: What happens around

  /// It may be time for something.
  mutating func tick(_ now: Int64) -> [Action] {
    guard let due, now >= due else { return [] }
    self.due = nil
    switch phase {
    case .connected:
      attempts = 0
      isRefreshed = false
      return []
    case .waiting: return attempt(now)
    case .token: return failed(now)
    case .opening:
      ladder.failed()
      return failed(now)
    case .idle, .offline, .stopped: return []
    }
  }

  mutating func networkBecameAvailable(_ now: Int64) -> [Action] {
    isOnline = true
    return phase == .offline ? attempt(now) : wake(now)
  }

  mutating func networkBecameUnavailable() -> [Action] {
    isOnline = false
    if phase == .connected { return [.probe] }
    guard phase == .waiting else { return [] }
    let dropped = drop()
    phase = .offline
    return dropped
  }

  /// The application is looked at again, or the machine has slept.
  mutating func wake(_ now: Int64) -> [Action] {
    switch phase {
    case .connected: return [.probe]
    case .stopped where reason == .maxAttempts:
      attempts = 0
      return attempt(now)
    case .waiting where !isTold: return attempt(now)
    default: return []
    }
  }

  /// When to see whether the best transport passes after all; `nil` when it is in use.
  mutating func nextUpgrade(_ now: Int64) -> Int64? { ladder.nextProbe().map { now + $0 } }

  // MARK: Steps

  private mutating func attempt(_ now: Int64) -> [Action] {
    reason = nil
    guard isOnline else {
      phase = .offline
      due = nil
      return []
    }
    phase = .token
    generation += 1
    due = now + Int64(ClientLimits.tokenTimeoutMilliseconds)
    return [.fetchToken(generation: generation, force: isForced)]
  }

  private mutating func failed(_ now: Int64, retryAfter: Int = 0, isAsked: Bool = false) -> [Action] {
    let dropped = drop()
    wasTried = true
    guard isOnline else {
      phase = .offline
      return dropped
    }
    // To come back when asked to is no failure.
    if !isAsked {
      attempts += 1
      if attempts > attemptsMax { return stop(.maxAttempts) }
    }
    let retryAfter = min(max(retryAfter, 0), ClientLimits.retryAfterMaxMilliseconds)
    let delay =
      isAsked
      ? retryAfter : max(retryAfter, Backoff.delay(failures: attempts, first: reconnectInterval, draw: draw))
    isTold = retryAfter > 0
    phase = .waiting
    due = now + Int64(delay)
    return dropped
  }

  private mutating func refused(_ now: Int64) -> [Action] {
    guard isRefreshable, !isRefreshed else { return stop(.unauthenticated) }
    let dropped = drop()
    isRefreshed = true
    isForced = true
    wasTried = true
    return dropped + attempt(now)
  }

  private mutating func stop(_ reason: DisconnectReason, in phase: Phase = .stopped) -> [Action] {
    let dropped = drop()
    self.phase = phase
    self.reason = reason
    return dropped
  }

  /// Moves on to a generation that nothing old belongs to.
  private mutating func drop() -> [Action] {
    if phase == .connected { wasTried = true }
    generation += 1
    isTold = false
    due = nil
    return [.drop]
  }
}

extension ConnectionMachine {
  /// The phase as applications see it.
  var state: ConnectionState {
    switch phase {
    case .connected: .connected
    case .idle, .stopped: .disconnected(reason ?? .client)
    case .token, .opening, .waiting, .offline: wasTried ? .reconnecting : .connecting
    }
  }
}
