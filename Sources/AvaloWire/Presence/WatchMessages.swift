import AvaloCore

// Watching users: a snapshot where the gateway's version is not the present one, then every change.

/// These users' presence is wanted from now on. Handles are the gateway's own; the high byte is its loop's number.
public struct WatchPresence: WireMessage, Equatable {
  public static let kind = FrameKind.watchPresence
  public struct Entry: Sendable, Equatable {
    public var handle: UInt32
    /// Of what the gateway knows already; 0 when that is nothing.
    public var version: UInt64
    public var user: String

    public init(handle: UInt32, version: UInt64, user: String) {
      self.handle = handle
      self.version = version
      self.user = user
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.integer($1.handle)
      $0.integer($1.version)
      $0.string($1.user)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(handle: try r.integer(), version: try r.integer(), user: try r.identifier())
    }
  }
}

/// These handles are not wanted any more. Answered by ``PresenceUnwatched``: then they are free.
public struct UnwatchPresence: WireMessage, Equatable {
  public static let kind = FrameKind.unwatchPresence
  public var handles: [UInt32]
  public init(handles: [UInt32]) { self.handles = handles }
  public func encode(into writer: inout WireWriter) { writer.list(handles) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    handles = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}

/// Nothing comes under these handles any more.
public struct PresenceUnwatched: WireMessage, Equatable {
  public static let kind = FrameKind.presenceUnwatched
  public var handles: [UInt32]
  public init(handles: [UInt32]) { self.handles = handles }
  public func encode(into writer: inout WireWriter) { writer.list(handles) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    handles = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}

/// A watched user's presence is now so: a snapshot after ``WatchPresence``, or a change.
public struct PresenceChanged: WireMessage, Equatable {
  public static let kind = FrameKind.presenceChanged
  /// Of this state; versions of all users come from one counter, which never goes back.
  public var version: UInt64
  /// The gateway's handles of the user.
  public var handles: [UInt32]
  /// All of it: the gateway shows each viewer their part.
  public var state: PresenceState
  /// The user's chats, to tell partners from strangers; empty when nothing is for partners alone.
  public var chats: [String]

  public init(version: UInt64, handles: [UInt32], state: PresenceState, chats: [String]) {
    self.version = version
    self.handles = handles
    self.state = state
    self.chats = chats
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(version)
    writer.list(handles) { $0.integer($1) }
    writer.presence(state)
    writer.list(chats) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    version = try reader.integer()
    handles = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
    state = try reader.presence()
    chats = try reader.list(max: Limits.presenceChatsMax) { (r: inout WireReader) throws(WireError) in
      try r.identifier()
    }
  }

  /// The handles alone, for who hands it on.
  public static func handles(_ body: UnsafeRawBufferPointer) throws(WireError) -> [UInt32] {
    var reader = WireReader(body)
    _ = try reader.integer(UInt64.self)
    return try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}
