import AvaloCore
import AvaloStore

/// Who follows the log, as the engine has it: ahead of the log's own rows by what was acknowledged since they were
/// written. Pure.
struct FollowerTable {
  private(set) var rows: [String: StoredFollower]
  /// What is kept: the types that anybody follows.
  private(set) var types: EventTypes = []
  /// Events that are kept.
  var kept: Int
  /// Followers whose row is to be written.
  private(set) var unwritten: Set<String> = []
  /// Followers whose row is to be removed.
  private(set) var forgotten: Set<String> = []
  /// There may be events that nobody needs any more, or too many.
  var mayDrop = true

  init(_ log: any EventLog) throws(LogError) {
    rows = Dictionary(uniqueKeysWithValues: try log.followers().map { ($0.name, $0) })
    kept = try log.followedCount()
    types = rows.values.reduce(into: []) { $0.formUnion($1.types) }
  }

  subscript(name: String) -> StoredFollower? { rows[name] }

  /// Up to where no follower needs anything.
  var acknowledged: UInt64 { rows.values.map(\.acknowledged).min() ?? .max }

  /// A follower begins, or wants other types.
  mutating func put(_ row: StoredFollower) {
    rows[row.name] = row
    forgotten.remove(row.name)
    types = rows.values.reduce(into: []) { $0.formUnion($1.types) }
  }

  mutating func forget(_ name: String) {
    rows[name] = nil
    unwritten.remove(name)
    forgotten.insert(name)
    types = rows.values.reduce(into: []) { $0.formUnion($1.types) }
    mayDrop = true
  }

  mutating func acknowledge(_ name: String, _ sequence: UInt64) {
    guard let row = rows[name], row.acknowledged < sequence else { return }
    rows[name]?.acknowledged = sequence
    unwritten.insert(name)
    mayDrop = true
  }

  mutating func see(_ name: String, at now: Int64) {
    guard let row = rows[name], now - row.seen >= SchedulerLimits.seenMilliseconds else { return }
    rows[name]?.seen = now
    unwritten.insert(name)
  }

  /// These are kept no longer; returns how many of them somebody had not acknowledged.
  mutating func dropped(_ events: [Followed]) -> Int {
    kept -= events.count
    var missed = 0
    for name in rows.keys {
      let lost = events.filter { $0.sequence > rows[name]!.acknowledged && rows[name]!.types.contains($0.type) }.count
      guard lost > 0 else { continue }
      rows[name]?.missed += UInt64(lost)
      unwritten.insert(name)
      missed += lost
    }
    return missed
  }

  mutating func written() {
    unwritten.removeAll()
    forgotten.removeAll()
  }

  /// Begins anew with what the log says; what was acknowledged stays so.
  mutating func recover(_ log: any EventLog) throws(LogError) {
    var recovered = try FollowerTable(log)
    for name in recovered.rows.keys {
      recovered.acknowledge(name, min(rows[name]?.acknowledged ?? 0, log.lastSequence))
    }
    for name in forgotten { recovered.forget(name) }
    self = recovered
  }
}
