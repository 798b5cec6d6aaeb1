import AvaloCore

// For servers: who is online, which connections there are, and their end. Lists are walks over what is there now: what
// changes meanwhile may be missed, what stays is not.

/// A page of the users who are not offline. Answered by ``OnlineUsers``.
public struct OnlineUsersQuery: WireRequest, Equatable {
  public typealias Answer = OnlineUsers
  public static let kind = FrameKind.onlineUsersQuery
  /// So that a page fits a frame.
  public static let limitMax: UInt32 = 1000

  /// Where the page before ended (``OnlineUsers/next``); 0 for the first.
  public var after: UInt64
  /// 1 to ``limitMax``.
  public var limit: UInt32
  /// Only these; ``PresenceStatus/offline`` stands for all others.
  public var status: PresenceStatus

  public init(after: UInt64, limit: UInt32, status: PresenceStatus) {
    self.after = after
    self.limit = limit
    self.status = status
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(after)
    writer.integer(limit)
    writer.integer(status.rawValue)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    after = try reader.integer()
    limit = try reader.integer()
    status = try reader.status()
    guard (1...OnlineUsersQuery.limitMax).contains(limit) else { throw .malformed("limit") }
  }
}

/// Answers ``OnlineUsersQuery``.
public struct OnlineUsers: WireMessage, Equatable {
  public static let kind = FrameKind.onlineUsers
  public struct Entry: Sendable, Equatable {
    public var user: String
    public var state: PresenceState

    public init(user: String, state: PresenceState) {
      self.user = user
      self.state = state
    }
  }
  public var entries: [Entry]
  /// Where the next page begins; 0 when this is the last one.
  public var next: UInt64
  /// All users who are not offline.
  public var total: UInt64

  public init(entries: [Entry], next: UInt64, total: UInt64) {
    self.entries = entries
    self.next = next
    self.total = total
  }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.string($1.user)
      $0.presence($1.state)
    }
    writer.integer(next)
    writer.integer(total)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(user: try r.identifier(), state: try r.presence())
    }
    next = try reader.integer()
    total = try reader.integer()
  }
}

/// A page of the open connections. Answered by ``ConnectionList``, when the gateways have said what each is subscribed to.
public struct ConnectionsQuery: WireRequest, Equatable {
  public typealias Answer = ConnectionList
  public static let kind = FrameKind.connectionsQuery
  /// So that a page fits a frame with what its connections are subscribed to.
  public static let limitMax: UInt32 = 100

  /// Only this user's; empty for everybody's.
  public var user: String
  /// Where the page before ended (``ConnectionList/next``); 0 for the first.
  public var after: UInt64
  /// 1 to ``limitMax``.
  public var limit: UInt32

  public init(user: String, after: UInt64, limit: UInt32) {
    self.user = user
    self.after = after
    self.limit = limit
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.integer(after)
    writer.integer(limit)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.optionalIdentifier()
    after = try reader.integer()
    limit = try reader.integer()
    guard (1...ConnectionsQuery.limitMax).contains(limit) else { throw .malformed("limit") }
  }
}

/// Answers ``ConnectionsQuery``.
public struct ConnectionList: WireMessage, Equatable {
  public static let kind = FrameKind.connectionList
  public struct Entry: Sendable, Equatable {
    public var connectionID: String
    public var user: String
    public var device: String
    public var platform: Platform
    /// Milliseconds since 1970.
    public var connectedMilliseconds: Int64
    /// When its gateway last said it was there. Milliseconds since 1970.
    public var seenMilliseconds: Int64
    public var subscriptions: SessionSubscriptions

    public init(
      connectionID: String, user: String, device: String, platform: Platform, connectedMilliseconds: Int64,
      seenMilliseconds: Int64, subscriptions: SessionSubscriptions = SessionSubscriptions()
    ) {
      self.connectionID = connectionID
      self.user = user
      self.device = device
      self.platform = platform
      self.connectedMilliseconds = connectedMilliseconds
      self.seenMilliseconds = seenMilliseconds
      self.subscriptions = subscriptions
    }
  }
  public var entries: [Entry]
  /// Where the next page begins; 0 when this is the last one.
  public var next: UInt64

  public init(entries: [Entry], next: UInt64) {
    self.entries = entries
    self.next = next
  }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.string($1.connectionID)
      $0.string($1.user)
      $0.string($1.device)
      $0.integer($1.platform.rawValue)
      $0.integer($1.connectedMilliseconds)
      $0.integer($1.seenMilliseconds)
      $0.subscriptions($1.subscriptions)
    }
    writer.integer(next)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(
        connectionID: try r.identifier(), user: try r.identifier(), device: try r.identifier(),
        platform: try r.platform(), connectedMilliseconds: try r.integer(), seenMilliseconds: try r.integer(),
        subscriptions: try r.subscriptions())
    }
    next = try reader.integer()
  }
}

/// What a session is subscribed to: the number, and the topics as far as they fit.
public struct SessionSubscriptions: Sendable, Equatable {
  /// Topics of one session that are named.
  public static let topicsMax = 32
  public var count: UInt32
  public var topics: [Topic]

  public init(count: UInt32 = 0, topics: [Topic] = []) {
    self.count = count
    self.topics = topics
  }
}

/// Presence asks a gateway what these sessions are subscribed to. Each of the gateway's loops answers for its own with a
/// ``SessionsDescribed``, on this correlation.
public struct DescribeSessions: WireMessage, Equatable {
  public static let kind = FrameKind.describeSessions
  public var sessions: [UInt64]
  public init(sessions: [UInt64]) { self.sessions = sessions }
  public func encode(into writer: inout WireWriter) { writer.list(sessions) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    sessions = try reader.list(max: Int(ConnectionsQuery.limitMax)) { (r: inout WireReader) throws(WireError) in
      try r.integer()
    }
  }
}

/// What sessions are subscribed to; one that has ended, to nothing.
public struct SessionsDescribed: WireMessage, Equatable {
  public static let kind = FrameKind.sessionsDescribed
  public struct Entry: Sendable, Equatable {
    public var session: UInt64
    public var subscriptions: SessionSubscriptions

    public init(session: UInt64, subscriptions: SessionSubscriptions) {
      self.session = session
      self.subscriptions = subscriptions
    }
  }
  public var entries: [Entry]
  public init(entries: [Entry]) { self.entries = entries }
  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.integer($1.session)
      $0.subscriptions($1.subscriptions)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list(max: Int(ConnectionsQuery.limitMax)) { (r: inout WireReader) throws(WireError) in
      Entry(session: try r.integer(), subscriptions: try r.subscriptions())
    }
  }
}

/// End a user's connections. Answered by ``Disconnected`` when their gateways were told.
public struct Disconnect: WireRequest, Equatable {
  public typealias Answer = Disconnected
  public static let kind = FrameKind.disconnect
  public var user: String
  /// Only this one; empty for all.
  public var connectionID: String
  /// The client may come back at once.
  public var mayReturn: Bool

  public init(user: String, connectionID: String, mayReturn: Bool) {
    self.user = user
    self.connectionID = connectionID
    self.mayReturn = mayReturn
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.string(connectionID)
    writer.boolean(mayReturn)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    connectionID = try reader.optionalIdentifier()
    mayReturn = try reader.boolean()
  }
}

/// Answers ``Disconnect``.
public struct Disconnected: WireMessage, Equatable {
  public static let kind = FrameKind.disconnected
  /// Connections that are being ended.
  public var count: UInt32
  public init(count: UInt32) { self.count = count }
  public func encode(into writer: inout WireWriter) { writer.integer(count) }
  public init(from reader: inout WireReader) throws(WireError) { count = try reader.integer() }
}

/// Presence tells a gateway to end these sessions.
public struct EndSessions: WireMessage, Equatable {
  public static let kind = FrameKind.endSessions
  public var sessions: [UInt64]
  public var mayReturn: Bool

  public init(sessions: [UInt64], mayReturn: Bool) {
    self.sessions = sessions
    self.mayReturn = mayReturn
  }

  public func encode(into writer: inout WireWriter) {
    writer.list(sessions) { $0.integer($1) }
    writer.boolean(mayReturn)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    sessions = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
    mayReturn = try reader.boolean()
  }
}
