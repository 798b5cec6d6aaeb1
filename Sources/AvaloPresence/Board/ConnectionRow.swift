import AvaloCore

/// One session of one gateway. What tells it from all others is (the gateway's incarnation, its session number); the
/// connection's id is a mere attribute (delivery.md, rule 12).
struct ConnectionRow: SlabRow {
  enum State: UInt8 {
    /// Not a row.
    case free
    /// Its gateway's link is up and has named it.
    case open
    /// Its gateway's link is gone, or we are: believed until `until`.
    case unconfirmed
    /// It has ended; its device is taken to be there until `until`, so that a page that reloads does not flap.
    case lingering
  }

  struct Flags: OptionSet {
    let rawValue: UInt8
    /// The file does not have it as it is.
    static let dirty = Flags(rawValue: 1)
    /// A write of it is under way.
    static let writing = Flags(rawValue: 2)
    /// The file has a row of it.
    static let inFile = Flags(rawValue: 4)
    /// It is a connection, but nobody is told that its user is there.
    static let hidden = Flags(rawValue: 8)
    /// It was the first of its id, and is found by it.
    static let named = Flags(rawValue: 16)
  }

  var session: UInt64 = 0
  /// Since 1970.
  var connectedMilliseconds: Int64 = 0
  /// Monotonic: when its gateway last said it had heard of it.
  var seen: Int64 = 0
  /// Monotonic; see ``State``.
  var until: Int64 = 0
  /// Monotonic: when its user last did something there.
  var active: Int64 = 0
  /// When `explicit` was said, among all that was.
  var order: UInt64 = 0
  var user: UInt32 = 0
  var device: TextHeap.Reference = 0
  var connectionID: TextHeap.Reference = 0
  /// The next connection of the same user.
  var next = Slab<ConnectionRow>.none
  var gateway: UInt16 = 0
  var state = State.free
  var platform = Platform.unknown
  /// What the user says of themselves by this device, as long as it lives; on all rows of the device alike.
  var explicit: PresenceStatus?
  var flags: Flags = []

  static let free = ConnectionRow()
  var isFree: Bool { state == .free }
}
