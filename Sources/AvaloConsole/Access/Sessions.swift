import AvaloCore
import AvaloSystem
import Crypto

/// Who somebody is that signed in, by their key.
struct KeyHolder: Sendable, Equatable {
  /// SHA-256 of the key, in hexadecimal: by it the key is looked up again.
  var hash: String
  var id: String
  var name: String
}

/// Who is signed in, by the token of their cookie. Pure but for what it is told of time and chance.
struct Sessions: Sendable {
  struct Session: Sendable {
    var holder: KeyHolder
    var endsAt: MonotonicInstant
    /// When the key was last known to be in force.
    var checkedAt: MonotonicInstant
  }

  /// By the token's SHA-256: finding one takes as long for a wrong token as for a nearly right one.
  private var sessions: [[UInt8]: Session] = [:]
  private let most: Int

  init(most: Int) { self.most = most }

  var count: Int { sessions.count }

  /// Begins one in the place of the oldest if there are too many; its token.
  mutating func begin(
    _ holder: KeyHolder, now: MonotonicInstant, time: Duration, using generator: inout some RandomNumberGenerator
  ) -> String {
    removeEnded(now)
    while sessions.count >= most, let oldest = sessions.min(by: { $0.value.endsAt < $1.value.endsAt }) {
      sessions[oldest.key] = nil
    }
    let bytes = (0..<ConsoleLimits.tokenBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    let token = Base64URL.encode(bytes)
    sessions[Sessions.key(token)] = Session(holder: holder, endsAt: now + time, checkedAt: now)
    return token
  }

  func session(of token: String, now: MonotonicInstant) -> Session? {
    guard let session = sessions[Sessions.key(token)], session.endsAt > now else { return nil }
    return session
  }

  mutating func confirm(_ token: String, now: MonotonicInstant) { sessions[Sessions.key(token)]?.checkedAt = now }
  mutating func end(_ token: String) { sessions[Sessions.key(token)] = nil }
  /// All of a key that is not in force any more.
  mutating func end(hash: String) { sessions = sessions.filter { $0.value.holder.hash != hash } }
  mutating func removeEnded(_ now: MonotonicInstant) { sessions = sessions.filter { $0.value.endsAt > now } }

  private static func key(_ token: String) -> [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }
}
