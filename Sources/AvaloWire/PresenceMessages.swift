import AvaloCore

// Gateway -> presence: which sessions there are. The registry's key is (the link's incarnation, session).

/// Sessions that are open: on a new link all of them, ended by ``SessionsEnd``; afterwards each as it opens.
public struct Sessions: WireMessage, Equatable {
  public static let kind = FrameKind.sessions
  public struct Entry: Sendable, Equatable {
    public var session: UInt64
    public var user: String
    public var device: String
    public var platform: Platform
    public var connectionID: String
    public var connectedMilliseconds: Int64

    public init(
      session: UInt64, user: String, device: String, platform: Platform, connectionID: String,
      connectedMilliseconds: Int64
    ) {
      self.session = session
      self.user = user
      self.device = device
      self.platform = platform
      self.connectionID = connectionID
      self.connectedMilliseconds = connectedMilliseconds
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.integer($1.session)
      $0.string($1.user)
      $0.string($1.device)
      $0.integer($1.platform.rawValue)
      $0.string($1.connectionID)
      $0.integer($1.connectedMilliseconds)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(
        session: try r.integer(), user: try r.identifier(), device: try r.identifier(), platform: try r.platform(),
        connectionID: try r.identifier(), connectedMilliseconds: try r.integer())
    }
  }
}

/// The snapshot that a new link begins with is complete: rows of this gateway that it did not name are gone.
public struct SessionsEnd: WireMessage, Equatable {
  public static let kind = FrameKind.sessionsEnd
  public init() {}
  public func encode(into writer: inout WireWriter) {}
  public init(from reader: inout WireReader) throws(WireError) {}
}

/// Sessions that ended, each with whether the client said goodbye (a close) or was lost (a drop).
public struct SessionsClosed: WireMessage, Equatable {
  public static let kind = FrameKind.sessionsClosed
  public struct Entry: Sendable, Equatable {
    public var session: UInt64
    public var clean: Bool

    public init(session: UInt64, clean: Bool) {
      self.session = session
      self.clean = clean
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.integer($1.session)
      $0.boolean($1.clean)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(session: try r.integer(), clean: try r.boolean())
    }
  }
}

/// Sessions whose client was heard of since the last such message; sent about once a minute.
public struct SessionsSeen: WireMessage, Equatable {
  public static let kind = FrameKind.sessionsSeen
  public var sessions: [UInt64]
  public init(sessions: [UInt64]) { self.sessions = sessions }
  public func encode(into writer: inout WireWriter) { writer.list(sessions) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    sessions = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}

/// Who of these users is here? Answered by ``PresenceAnswer``, in the same order.
public struct PresenceQuery: WireMessage, Equatable {
  public static let kind = FrameKind.presenceQuery
  public var users: [String]
  public init(users: [String]) { self.users = users }
  public func encode(into writer: inout WireWriter) { writer.list(users) { $0.string($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    users = try reader.list { (r: inout WireReader) throws(WireError) in try r.identifier() }
  }
}

/// Answers ``PresenceQuery``.
public struct PresenceAnswer: WireMessage, Equatable {
  public static let kind = FrameKind.presenceAnswer
  public struct Entry: Sendable, Equatable {
    public var online: Bool
    /// Milliseconds since 1970; 0 for a user never seen.
    public var lastSeenMilliseconds: Int64
    /// Of the device seen last; ``Platform/unknown`` when offline or not said.
    public var platform: Platform

    public init(online: Bool, lastSeenMilliseconds: Int64, platform: Platform) {
      self.online = online
      self.lastSeenMilliseconds = lastSeenMilliseconds
      self.platform = platform
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.boolean($1.online)
      $0.integer($1.lastSeenMilliseconds)
      $0.integer($1.platform.rawValue)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(online: try r.boolean(), lastSeenMilliseconds: try r.integer(), platform: try r.platform())
    }
  }
}
