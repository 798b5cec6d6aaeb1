/// Users of whom the file knows nothing, as it said a short while ago: it is not asked again. Whoever comes is forgotten
/// here before the file can know of them. A value; two generations, so that forgetting old ones costs nothing.
struct AbsentUsers {
  private var young: Set<String> = []
  private var old: Set<String> = []
  private var turns: Int64 = 0

  func contains(_ user: String) -> Bool { young.contains(user) || old.contains(user) }

  /// - `now`: monotonic milliseconds.
  mutating func insert(_ user: String, at now: Int64) {
    turn(at: now)
    if young.count >= PresenceLimits.absentMax { return }
    young.insert(user)
  }

  mutating func remove(_ user: String) {
    if young.isEmpty, old.isEmpty { return }
    young.remove(user)
    old.remove(user)
  }

  /// Once in a while: those of the generation before the last are asked for again.
  mutating func turn(at now: Int64) {
    guard now >= turns else { return }
    // After a long time without a turn both are old.
    old = now - turns >= PresenceLimits.absentMilliseconds ? [] : young
    young = []
    turns = now + PresenceLimits.absentMilliseconds
  }
}
