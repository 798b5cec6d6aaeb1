import AvaloStore

/// How much of a topic is kept, by its kind.
public struct RetentionRule: Sendable, Equatable {
  /// Offsets kept below the head.
  public var eventsMax: UInt64
  /// Bytes of records.
  public var bytesMax: Int
  /// Seconds an event lives at most, whatever its own TTL.
  public var ageSecondsMax: UInt32

  public init(eventsMax: UInt64, bytesMax: Int, ageSecondsMax: UInt32) {
    self.eventsMax = eventsMax
    self.bytesMax = bytesMax
    self.ageSecondsMax = ageSecondsMax
  }

  /// An inbox or a conversation: some weeks of a busy one.
  public static let standard = RetentionRule(eventsMax: 10_000, bytesMax: 64 << 20, ageSecondsMax: 30 * 24 * 3600)
  /// A feed read by many, which nobody reads back for long.
  public static let feed = RetentionRule(eventsMax: 100_000, bytesMax: 256 << 20, ageSecondsMax: 7 * 24 * 3600)
}

/// The rules of all kinds; a topic remembers its rule by index.
struct RetentionRules: Sendable {
  private let rules: [RetentionRule]
  private let indexes: [String: UInt8]

  init(default rule: RetentionRule, byKind: [String: RetentionRule]) {
    var rules = [rule]
    var indexes: [String: UInt8] = [:]
    for (kind, rule) in byKind.sorted(by: { $0.key < $1.key }).prefix(Int(UInt8.max)) {
      indexes[kind] = UInt8(rules.count)
      rules.append(rule)
    }
    self.rules = rules
    self.indexes = indexes
  }

  func index(ofKind kind: Substring) -> UInt8 { indexes.isEmpty ? 0 : indexes[String(kind)] ?? 0 }
  subscript(index: UInt8) -> RetentionRule { rules[Int(index)] }
}
