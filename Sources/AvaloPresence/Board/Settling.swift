/// The first moments of a life: gateways that were here before have yet to say what they have. A user who opened a
/// connection just before our end may not be in the file; until everybody has spoken, or had time to, nobody who asks to
/// watch is told that such a user is offline.
struct Settling {
  /// Monotonic: by then at the latest it is over.
  let until: Int64
  /// Incarnations that the file knows and that have not spoken.
  private var awaited: Set<UInt64>

  /// `nil` when there is nobody to wait for.
  init?(awaiting incarnations: Set<UInt64>, until: Int64) {
    guard !incarnations.isEmpty else { return nil }
    awaited = incarnations
    self.until = until
  }

  /// It was here before, and may be still.
  func awaits(_ incarnation: UInt64) -> Bool { awaited.contains(incarnation) }

  mutating func spoke(_ incarnation: UInt64) { awaited.remove(incarnation) }

  func isOver(at now: Int64) -> Bool { awaited.isEmpty || now >= until }
}
