import AvaloCore

// A user's presence: changed by its owner, asked for, watched.

/// The owner changes their presence. Answered by ``PresenceSet`` when it is in force, and in the file if that can be
/// written.
public struct SetPresence: WireRequest, Equatable {
  public typealias Answer = PresenceSet
  public static let kind = FrameKind.setPresence

  /// What happens to a field that may be there or not.
  public enum Change<Value: Sendable & Equatable>: Sendable, Equatable {
    case keep
    case clear
    case set(Value)
  }

  public var user: String
  /// The gateway's session that says so; 0 over HTTP.
  public var session: UInt64
  /// The connection whose device it is about; empty when it is about none or about the session's own.
  public var connectionID: String
  /// Cleared: what the devices' being there says.
  public var status: Change<PresenceStatus>
  /// ``Platform/unknown`` keeps it.
  public var platform: Platform
  public var customStatus: Change<String>
  public var activity: Change<String>
  public var location: Change<CoarseLocation>
  /// `nil` keeps it.
  public var activityVisibility: Visibility?
  /// `nil` keeps it.
  public var locationVisibility: Visibility?
  /// The user's chats: their members are the user's partners. All there are when the update ``changesParts``; otherwise
  /// those that the gateway knows, which join those of before.
  public var chats: [String]

  /// Whether it may change what is for some alone.
  public var changesParts: Bool {
    activity != .keep || location != .keep || activityVisibility != nil || locationVisibility != nil
  }

  public init(
    user: String, session: UInt64 = 0, connectionID: String = "", status: Change<PresenceStatus> = .keep,
    platform: Platform = .unknown, customStatus: Change<String> = .keep, activity: Change<String> = .keep,
    location: Change<CoarseLocation> = .keep, activityVisibility: Visibility? = nil,
    locationVisibility: Visibility? = nil, chats: [String] = []
  ) {
    self.user = user
    self.session = session
    self.connectionID = connectionID
    self.status = status
    self.platform = platform
    self.customStatus = customStatus
    self.activity = activity
    self.location = location
    self.activityVisibility = activityVisibility
    self.locationVisibility = locationVisibility
    self.chats = chats
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.integer(session)
    writer.string(connectionID)
    writer.change(status) { $0.integer($1.rawValue) }
    writer.integer(platform.rawValue)
    writer.change(customStatus) { $0.string($1) }
    writer.change(activity) { $0.string($1) }
    writer.change(location) { $0.location($1) }
    writer.integer(activityVisibility?.rawValue ?? UInt8.max)
    writer.integer(locationVisibility?.rawValue ?? UInt8.max)
    writer.list(chats) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    session = try reader.integer()
    connectionID = try reader.optionalIdentifier()
    status = try reader.change { (r: inout WireReader) throws(WireError) in try r.status() }
    platform = try reader.platform()
    customStatus = try reader.change { (r: inout WireReader) throws(WireError) in
      try r.text(max: Limits.customStatusBytesMax)
    }
    activity = try reader.change { (r: inout WireReader) throws(WireError) in try r.text(max: Limits.activityBytesMax) }
    location = try reader.change { (r: inout WireReader) throws(WireError) in try r.location() }
    activityVisibility = try reader.optionalVisibility()
    locationVisibility = try reader.optionalVisibility()
    chats = try reader.list(max: Limits.presenceChatsMax) { (r: inout WireReader) throws(WireError) in
      try r.identifier()
    }
  }
}

/// Answers ``SetPresence``: what the owner sees of themselves now.
public struct PresenceSet: WireMessage, Equatable {
  public static let kind = FrameKind.presenceSet
  public var state: PresenceState
  public init(state: PresenceState) { self.state = state }
  public func encode(into writer: inout WireWriter) { writer.presence(state) }
  public init(from reader: inout WireReader) throws(WireError) { state = try reader.presence() }
}

/// How are these users? Answered by ``PresenceAnswer``, in the same order.
public struct PresenceQuery: WireRequest, Equatable {
  public typealias Answer = PresenceAnswer
  public static let kind = FrameKind.presenceQuery
  /// So that the answer fits a frame, whatever the users have written about themselves.
  public static let usersMax = 256

  public var users: [String]
  /// Who asks: they see all of themselves. Empty for a server, which sees all of everybody.
  public var viewer: String
  /// The viewer's chats, as far as the gateway knows: their members are the viewer's partners.
  public var chats: [String]

  public init(users: [String], viewer: String = "", chats: [String] = []) {
    self.users = users
    self.viewer = viewer
    self.chats = chats
  }

  public func encode(into writer: inout WireWriter) {
    writer.list(users) { $0.string($1) }
    writer.string(viewer)
    writer.list(chats) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    users = try reader.list(max: PresenceQuery.usersMax) { (r: inout WireReader) throws(WireError) in
      try r.identifier()
    }
    viewer = try reader.optionalIdentifier()
    chats = try reader.list { (r: inout WireReader) throws(WireError) in try r.identifier() }
  }
}

/// Answers ``PresenceQuery``: of each user what the viewer may see.
public struct PresenceAnswer: WireMessage, Equatable {
  public static let kind = FrameKind.presenceAnswer
  public struct Entry: Sendable, Equatable {
    public var state: PresenceState
    /// The chats the user is typing in, of those the viewer is in.
    public var typingIn: [String]

    public init(state: PresenceState, typingIn: [String] = []) {
      self.state = state
      self.typingIn = typingIn
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.presence($1.state)
      $0.list($1.typingIn) { $0.string($1) }
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list(max: PresenceQuery.usersMax) { (r: inout WireReader) throws(WireError) in
      Entry(
        state: try r.presence(),
        typingIn: try r.list(max: Limits.typingChatsMax) { (r: inout WireReader) throws(WireError) in
          try r.identifier()
        })
    }
  }
}

/// These users are in the chat no longer: its members do not see any more what they show to those they share a chat with.
public struct PartnershipsEnded: WireMessage, Equatable {
  public static let kind = FrameKind.partnershipsEnded
  /// The chat's id.
  public var chat: String
  /// At most ``WireLimits/batchEntriesMax``.
  public var users: [String]

  public init(chat: String, users: [String]) {
    self.chat = chat
    self.users = users
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(chat)
    writer.list(users) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    chat = try reader.identifier()
    users = try reader.list { (r: inout WireReader) throws(WireError) in try r.identifier() }
  }
}

/// Forget the user: how they were, when they were last seen, and their connections, which their gateways cut. Answered by
/// ``PresenceErased`` when the file has forgotten them too, or ``Failed``.
public struct ErasePresence: WireRequest, Equatable {
  public typealias Answer = PresenceErased
  public static let kind = FrameKind.erasePresence
  public var user: String

  public init(user: String) { self.user = user }
  public func encode(into writer: inout WireWriter) { writer.string(user) }
  public init(from reader: inout WireReader) throws(WireError) { user = try reader.identifier() }
}

/// Answers ``ErasePresence``.
public struct PresenceErased: WireMessage, Equatable {
  public static let kind = FrameKind.presenceErased
  public init() {}
  public func encode(into writer: inout WireWriter) {}
  public init(from reader: inout WireReader) throws(WireError) {}
}
