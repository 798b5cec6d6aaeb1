import AvaloCore
import AvaloSystem
import Crypto

/// What is rolled out to whom.
///
///     flags:
///       realtime_engine_v2: {rollout: 5, allow: [ann], deny: [bob]}
///       realtime_presence: {rollout: 100}
///
/// Looked at when somebody connects or calls: a reload changes it for the next one, and drops nobody.
public struct FeatureFlags: Sendable, Equatable {
  /// Connections and subscriptions. Publishes are kept for everybody, so whoever is let in later finds what they missed.
  public var engine: FeatureFlag
  /// Online, away, typing. A user without it is offline to others.
  public var presence: FeatureFlag

  init(_ reader: inout SettingsReader) {
    engine = FeatureFlag(&reader, "realtime_engine_v2", rolloutDefault: 0)
    presence = FeatureFlag(&reader, "realtime_presence", rolloutDefault: 100)
  }

  public var all: [FeatureFlag] { [engine, presence] }

  /// `realtime_engine_v2 5 %, realtime_presence on`: for people.
  public var sentence: String { all.map(\.sentence).joined(separator: ", ") }
}

/// One feature, and who has it: a share of the users, with exceptions by name.
public struct FeatureFlag: Sendable, Equatable {
  public let name: String
  /// Hundredths of a percent of all users, 0 to 10 000.
  public var rollout: Int
  /// Users who have it whatever the share is.
  public var allow: Set<String>
  /// Users who do not, whatever else is said.
  public var deny: Set<String>

  init(_ reader: inout SettingsReader, _ name: String, rolloutDefault: Double) {
    self.name = name
    (rollout, allow, deny) = reader.section(name) { section in
      let percent = section.number("rollout", in: 0...100, default: rolloutDefault)
      return (Int((percent * 100).rounded()), section.users("allow"), section.users("deny"))
    }
  }

  /// Whether the user has it.
  public func isOn(for user: String) -> Bool {
    if deny.contains(user) { return false }
    if allow.contains(user) { return true }
    if rollout == 0 || rollout == 10_000 { return rollout > 0 }
    return place(of: user) < rollout
  }

  /// Where the user stands among 10 000: the first 32 bits of SHA-256 of `NAME:USER`, big-endian, modulo 10 000.
  ///
  /// The same on every machine and in every release, so that a user does not come and go; of its own for each feature,
  /// so that not always the same users are first; and who has it at 5 % has it at 6 %.
  func place(of user: String) -> Int {
    let digest = SHA256.hash(data: Array("\(name):\(user)".utf8))
    return Int(digest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) } % 10_000)
  }

  /// What a user without it is told.
  func refusal(for user: String) -> CallError? {
    isOn(for: user) ? nil : CallError(.failedPrecondition, "\(name) is off for this user")
  }

  /// `realtime_engine_v2 5 % and 2 users`.
  var sentence: String {
    var text =
      switch rollout {
      case 0: "off"
      case 10_000: "on"
      default: "\(percent) %"
      }
    if !allow.isEmpty, rollout < 10_000 { text += " and \(FeatureFlag.count(allow))" }
    if !deny.isEmpty, rollout > 0 { text += " but for \(FeatureFlag.count(deny))" }
    return "\(name) \(text)"
  }

  /// The share as a number of percent: `5`, `12.5`.
  var percent: String { rollout % 100 == 0 ? "\(rollout / 100)" : "\(Double(rollout) / 100)" }

  private static func count(_ users: Set<String>) -> String { "\(users.count) user\(users.count == 1 ? "" : "s")" }
}

extension CallContext {
  /// Refuses a user for whom a feature is off: `try context.require(\.presence, for: identity)`.
  func require(_ flag: KeyPath<FeatureFlags, FeatureFlag>, for identity: Identity) throws(CallError) {
    if let refusal = access.current.flags[keyPath: flag].refusal(for: identity.user) { throw refusal }
  }
}

extension SettingsReader {
  fileprivate mutating func users(_ key: String) -> Set<String> {
    let users = list(key, "a user's id: 1 to 128 of A-Z, a-z, 0-9, _ . @ -") { node -> String? in
      // An id of digits alone is a number to YAML.
      let id: String? =
        switch node.value {
        case .string(let text): text
        case .integer(let number): "\(number)"
        default: nil
        }
      return id.flatMap { Topic.isWellFormedID($0.utf8) ? $0 : nil }
    }
    if users.count > GatewayLimits.flagUsersMax { problem(key, "at most \(GatewayLimits.flagUsersMax) users") }
    return Set(users)
  }
}
