import AvaloCore

/// A user of whom something is known that the file alone does not tell: they have connections, somebody watches them, or
/// what was learnt about them is not written yet. Everybody else is in the file only.
struct UserRow: SlabRow {
  struct Flags: OptionSet {
    let rawValue: UInt16
    /// The file does not have the user as they are.
    static let dirty = Flags(rawValue: 1)
    /// A write of the user is under way: the row stays until it has ended.
    static let writing = Flags(rawValue: 2)
    /// A user, not a free place.
    static let used = Flags(rawValue: 4)
    /// What the file knew of the user is here too; without it only times and devices are.
    static let whole = Flags(rawValue: 8)
    /// The file was asked.
    static let loading = Flags(rawValue: 16)
    /// Among those whose presence may be another than it was.
    static let touched = Flags(rawValue: 32)
    /// Something that others see has changed besides the status.
    static let changed = Flags(rawValue: 64)
  }

  /// Since 1970; 0 when never.
  var lastSeenMilliseconds: Int64 = 0
  /// Since 1970; 0 when never.
  var lastActiveMilliseconds: Int64 = 0
  /// Of what watchers were shown; 0 before anybody was.
  var version: UInt64 = 0
  var id: TextHeap.Reference = 0
  var firstConnection = Slab<ConnectionRow>.none
  var firstWatch = Slab<WatchRow>.none
  var flags: Flags = []
  /// As last told.
  var status = PresenceStatus.offline
  /// As last told.
  var platform = Platform.unknown

  static let free = UserRow()
  var isFree: Bool { !flags.contains(.used) }
}

/// What few users have. Kept beside the rows, by their index.
struct UserDetails: Sendable, Equatable {
  var customStatus = ""
  var activity = ""
  var location: CoarseLocation?
  var activityVisibility = Visibility.chatPartners
  var locationVisibility = Visibility.chatPartners
  /// As the user's gateway last said, when something is for their members.
  var chats: [String] = []
  var bare: BareStatus?
}

/// A status that was set over HTTP, with no device to live on.
struct BareStatus: Sendable, Equatable {
  var status: PresenceStatus
  var platform: Platform
  /// When it was said, among all that was.
  var order: UInt64
  /// Monotonic. While the user has no device it lives so long.
  var until: Int64
  /// The user had a device when it was said, or has got one since: it lives and dies with their devices.
  var isBound: Bool
}

/// A gateway's interest in a user.
struct WatchRow: SlabRow {
  static let noLink = UInt16.max

  var user: UInt32 = 0
  /// The gateway's own name for it.
  var handle: UInt32 = 0
  /// The next watch of the same user.
  var next = Slab<WatchRow>.none
  var link = WatchRow.noLink
  /// It is to be told of the present state, when that is known and the link has room.
  var owes = false

  static let free = WatchRow()
  var isFree: Bool { link == WatchRow.noLink }
}
