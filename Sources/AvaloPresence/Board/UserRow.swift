import AvaloCore

/// A user of whom something is known that the file alone does not tell: they have connections, or what was learnt about
/// them is not written yet. Everybody else is in the file only.
struct UserRow: SlabRow {
  struct Flags: OptionSet {
    let rawValue: UInt8
    /// The file does not have the user as they are.
    static let dirty = Flags(rawValue: 1)
    /// A write of the user is under way: the row stays until it has ended.
    static let writing = Flags(rawValue: 2)
    /// A user, not a free place.
    static let used = Flags(rawValue: 4)
  }

  /// Since 1970; 0 when never.
  var lastSeenMilliseconds: Int64 = 0
  var id: TextHeap.Reference = 0
  var firstConnection = Slab<ConnectionRow>.none
  var flags: Flags = []
  /// Of the device seen last.
  var platform = Platform.unknown

  static let free = UserRow()
  var isFree: Bool { !flags.contains(.used) }
}
