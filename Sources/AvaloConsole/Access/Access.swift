import AvaloSystem
import Logging

/// Who may look. A key is asked for once; what stands for it then is a random token in a cookie. Every few seconds of
/// use the key is looked up again, so that one which is revoked stops looking.
actor Access {
  enum SignIn: Equatable {
    case done(token: String, KeyHolder)
    case refused
    case tooMany(wait: Duration)
    case unavailable(String)
  }

  private let desk: KeyDesk
  private let settings: SharedSettings
  private let clock: MonotonicClock
  private let metrics: ConsoleMetrics
  private let log: Logger
  private var sessions = Sessions(most: ConsoleLimits.sessionsMax)
  private var throttle: LoginThrottle
  private var generator = SystemRandomNumberGenerator()

  init(desk: KeyDesk, settings: SharedSettings, clock: MonotonicClock, metrics: ConsoleMetrics, log: Logger) {
    self.desk = desk
    self.settings = settings
    self.clock = clock
    self.metrics = metrics
    self.log = log
    throttle = LoginThrottle(burst: ConsoleLimits.loginBurst, refill: ConsoleLimits.loginRefill, now: clock.now)
  }

  func signIn(_ key: String) async -> SignIn {
    if let wait = throttle.take(now: clock.now) {
      metrics.logins.with(ConsoleMetrics.Login.limited.rawValue).add(1)
      return .tooMany(wait: wait)
    }
    switch await desk.holder(ofHash: KeyDesk.hash(of: key)) {
    case .known(let holder):
      throttle.giveBack()
      metrics.logins.with(ConsoleMetrics.Login.success.rawValue).add(1)
      let token = sessions.begin(holder, now: clock.now, time: settings.current.sessionTime, using: &generator)
      metrics.sessions.set(sessions.count)
      log.notice("signed in", metadata: ["key": "\(holder.id)"])
      return .done(token: token, holder)
    case .refused:
      metrics.logins.with(ConsoleMetrics.Login.refused.rawValue).add(1)
      log.warning("refused to sign in: no key of the scope console")
      return .refused
    case .unavailable(let reason):
      throttle.giveBack()
      metrics.logins.with(ConsoleMetrics.Login.unavailable.rawValue).add(1)
      return .unavailable(reason)
    }
  }

  /// Whose token it is; `nil` when it is nobody's, or its key is not in force any more. A gateway that is away changes
  /// nothing for who is signed in.
  func holder(of token: String?) async -> KeyHolder? {
    guard let token else { return nil }
    guard let session = sessions.session(of: token, now: clock.now) else {
      sessions.removeEnded(clock.now)
      metrics.sessions.set(sessions.count)
      return nil
    }
    guard clock.now - session.checkedAt >= ConsoleLimits.recheckTime else { return session.holder }
    // Before it is asked, so that a page's questions at one moment are one question here.
    sessions.confirm(token, now: clock.now)
    guard await desk.holder(ofHash: session.holder.hash) == .refused else { return session.holder }
    sessions.end(hash: session.holder.hash)
    metrics.sessions.set(sessions.count)
    log.notice("signed out: the key is not in force any more", metadata: ["key": "\(session.holder.id)"])
    return nil
  }

  func signOut(_ token: String) {
    sessions.end(token)
    sessions.removeEnded(clock.now)
    metrics.sessions.set(sessions.count)
  }
}
