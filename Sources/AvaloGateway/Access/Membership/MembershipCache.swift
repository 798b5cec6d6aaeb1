import AvaloCore
import AvaloSystem

/// What a webhook said of users and topics, for as long as it may be believed. Bounded: the half that was not asked for
/// lately goes first. Pure.
struct MembershipCache: Sendable {
  enum Decision: Sendable, Equatable {
    case allowed, denied
    /// It could not be asked.
    case unavailable
  }
  private struct Key: Hashable {
    var user: String
    var topic: Topic
  }
  private struct Entry {
    var decision: Decision
    var until: MonotonicInstant
  }

  private let generationMax: Int
  private var young: [Key: Entry] = [:]
  private var old: [Key: Entry] = [:]

  init(max: Int = GatewayLimits.webhookDecisionsMax) { generationMax = Swift.max(1, max / 2) }

  var count: Int { young.count + old.count }

  /// `nil`: ask.
  mutating func decision(_ user: String, _ topic: Topic, at now: MonotonicInstant) -> Decision? {
    let key = Key(user: user, topic: topic)
    guard let entry = young[key] ?? old[key], now < entry.until else { return nil }
    if young[key] == nil { put(key, entry) }
    return entry.decision
  }

  mutating func put(_ decision: Decision, _ user: String, _ topic: Topic, until: MonotonicInstant) {
    put(Key(user: user, topic: topic), Entry(decision: decision, until: until))
  }

  private mutating func put(_ key: Key, _ entry: Entry) {
    if young.count >= generationMax, young[key] == nil {
      old = young
      young = [:]
    }
    young[key] = entry
  }
}
