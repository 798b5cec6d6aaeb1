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
    /// Others are told that its user is there.
    public var isShown: Bool

    public init(
      session: UInt64, user: String, device: String, platform: Platform, connectionID: String,
      connectedMilliseconds: Int64, isShown: Bool = true
    ) {
      self.session = session
      self.user = user
      self.device = device
      self.platform = platform
      self.connectionID = connectionID
      self.connectedMilliseconds = connectedMilliseconds
      self.isShown = isShown
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
      $0.boolean($1.isShown)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(
        session: try r.integer(), user: try r.identifier(), device: try r.identifier(), platform: try r.platform(),
        connectionID: try r.identifier(), connectedMilliseconds: try r.integer(), isShown: try r.boolean())
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
  public struct Entry: Sendable, Equatable {
    public var session: UInt64
    /// Its user did something, rather than its device being there.
    public var active: Bool

    public init(session: UInt64, active: Bool) {
      self.session = session
      self.active = active
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.integer($1.session)
      $0.boolean($1.active)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list { (r: inout WireReader) throws(WireError) in
      Entry(session: try r.integer(), active: try r.boolean())
    }
  }
}
