import AvaloCore

// Sessions: whose device they are, where it stopped, and what they are let into.

/// A session has authenticated: register its device and tell where it stopped. Answered, after the commit, by
/// ``Attached`` or ``Failed``. After a new link the gateway attaches every open session again.
public struct Attach: WireMessage, Equatable {
  public static let kind = FrameKind.attach
  /// The gateway's number for the session, unique within its incarnation.
  public var session: UInt64
  /// What it authenticated with. Refused UNAUTHENTICATED when that was revoked.
  public var token: TokenName
  /// Empty for a session that is no device: its cursors live as long as it does.
  public var device: String
  public var platform: Platform
  /// What it will subscribe to; a topic without a cursor gets one: an inbox's at its oldest retained event when the
  /// device is new, at the head otherwise.
  public var topics: [Wanted]
  /// The id of the single-use ticket the session was opened with, spent by this; empty when there was none. A second
  /// ``Attach`` of another session with it is refused UNAUTHENTICATED.
  public var ticket: String
  /// The device is named by its connection alone, which may not come again: of those that are registered it is the first
  /// to make room.
  public var isPassing: Bool

  /// A topic that a session subscribes to.
  public struct Wanted: Sendable, Hashable {
    public var topic: Topic
    /// The gateway's rules or the token let the user in; otherwise they have to be a member.
    public var isGranted: Bool

    public init(_ topic: Topic, isGranted: Bool) {
      self.topic = topic
      self.isGranted = isGranted
    }
  }

  public init(
    session: UInt64, token: TokenName, device: String, platform: Platform, topics: [Wanted], ticket: String = "",
    isPassing: Bool = false
  ) {
    self.session = session
    self.token = token
    self.device = device
    self.platform = platform
    self.topics = topics
    self.ticket = ticket
    self.isPassing = isPassing
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(session)
    writer.token(token)
    writer.string(device)
    writer.integer(platform.rawValue)
    writer.list(topics) { $0.wanted($1) }
    writer.string(ticket)
    writer.boolean(isPassing)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    session = try reader.integer()
    token = try reader.token()
    device = try reader.identifierOrNone()
    platform = try reader.platform()
    topics = try reader.list { (r: inout WireReader) throws(WireError) in try r.wanted() }
    ticket = try reader.string()
    isPassing = try reader.boolean()
  }
}

/// Where the device stopped, in the order of the request's topics. Answers ``Attach`` and ``Cursors``.
public struct Attached: WireMessage, Equatable {
  public static let kind = FrameKind.attached
  public enum Answer: Sendable, Equatable {
    /// Where its device stopped. What lies before the offset `since` is not the user's to see: they were no member then; 0
    /// when they did not have to be one.
    case granted(Position, since: UInt64)
    case denied(StatusCode)
  }
  public var answers: [Answer]

  public init(answers: [Answer]) { self.answers = answers }

  public func encode(into writer: inout WireWriter) {
    writer.list(answers) {
      switch $1 {
      case .granted(let position, let since):
        $0.integer(StatusCode.ok.rawValue)
        $0.position(position)
        $0.integer(since)
      case .denied(let code): $0.integer(code.rawValue)
      }
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    answers = try reader.list { (r: inout WireReader) throws(WireError) in
      guard let code = StatusCode(rawValue: try r.integer()) else { throw .malformed("status code") }
      return code == .ok ? .granted(try r.position(), since: try r.integer()) : .denied(code)
    }
  }
}

/// An attached session subscribes to more: where did its device stop there? Answered by ``Attached`` or ``Failed``.
public struct Cursors: WireMessage, Equatable {
  public static let kind = FrameKind.cursors
  public var session: UInt64
  public var user: String
  public var topics: [Attach.Wanted]

  public init(session: UInt64, user: String, topics: [Attach.Wanted]) {
    self.session = session
    self.user = user
    self.topics = topics
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(session)
    writer.string(user)
    writer.list(topics) { $0.wanted($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    session = try reader.integer()
    user = try reader.identifier()
    topics = try reader.list { (r: inout WireReader) throws(WireError) in try r.wanted() }
  }
}

/// Sessions that ended.
public struct Detach: WireMessage, Equatable {
  public static let kind = FrameKind.detach
  public var sessions: [UInt64]

  public init(sessions: [UInt64]) { self.sessions = sessions }

  public func encode(into writer: inout WireWriter) { writer.list(sessions) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    sessions = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}

/// A session subscribes to these no more. Where its device stopped is kept, as when the session ends.
public struct Leave: WireMessage, Equatable {
  public static let kind = FrameKind.leave
  public var session: UInt64
  public var topics: [Topic]

  public init(session: UInt64, topics: [Topic]) {
    self.session = session
    self.topics = topics
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(session)
    writer.list(topics) { $0.string($1.name) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    session = try reader.integer()
    topics = try reader.list { (r: inout WireReader) throws(WireError) in try r.topic() }
  }
}

extension WireWriter {
  /// string user, string token id, i64 issued at.
  mutating func token(_ token: TokenName) {
    string(token.user)
    string(token.tokenID)
    integer(token.issuedAtMilliseconds)
  }
  mutating func wanted(_ wanted: Attach.Wanted) {
    string(wanted.topic.name)
    boolean(wanted.isGranted)
  }
}

extension WireReader {
  mutating func token() throws(WireError) -> TokenName {
    TokenName(user: try identifier(), tokenID: try string(), issuedAtMilliseconds: try integer())
  }
  mutating func wanted() throws(WireError) -> Attach.Wanted {
    Attach.Wanted(try topic(), isGranted: try boolean())
  }
}

/// A client subscribes with a request, and may poll: where does it begin? Answered by ``Starts``, after the commit, or
/// ``Failed``. A connection that is named subscribes to these topics in place of what it was subscribed to: polls that name
/// it alone are of them from then on (``PolledQuery``), and begin at these places.
public struct StartsQuery: WireRequest, Equatable {
  public typealias Answer = Starts
  public static let kind = FrameKind.startsQuery
  /// What it authenticated with. Refused UNAUTHENTICATED when that was revoked and a connection is named.
  public var token: TokenName
  /// Whose places are asked for; empty for no device.
  public var device: String
  /// Empty: nothing is kept.
  public var connection: String
  public var topics: [Wanted]

  /// A topic that it may have, and the position that the client presents; ``Position/none`` when it does not.
  public struct Wanted: Sendable, Hashable {
    public var topic: Topic
    public var presented: Position

    public init(_ topic: Topic, at presented: Position = .none) {
      self.topic = topic
      self.presented = presented
    }
  }

  public init(token: TokenName, device: String, connection: String = "", topics: [Wanted]) {
    self.token = token
    self.device = device
    self.connection = connection
    self.topics = topics
  }

  public func encode(into writer: inout WireWriter) {
    writer.token(token)
    writer.string(device)
    writer.string(connection)
    writer.list(topics) {
      $0.string($1.topic.name)
      $0.position($1.presented)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    token = try reader.token()
    device = try reader.optionalIdentifier()
    connection = try reader.optionalIdentifier()
    topics = try reader.list { (r: inout WireReader) throws(WireError) in
      Wanted(try r.topic(), at: try r.position())
    }
  }
}

/// Answers ``StartsQuery``, topic by topic: where the device stopped, whatever was presented, or the present;
/// ``Position/none`` for an inbox that the device has never read, which begins with the oldest that is there.
public struct Starts: WireMessage, Equatable {
  public static let kind = FrameKind.starts
  public var positions: [Position]

  public init(positions: [Position]) { self.positions = positions }
  public func encode(into writer: inout WireWriter) { writer.list(positions) { $0.position($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    positions = try reader.list { (r: inout WireReader) throws(WireError) in try r.position() }
  }
}

/// A poll names its connection alone: what is it of? Answered by ``Polled`` or ``Failed``.
public struct PolledQuery: WireRequest, Equatable {
  public typealias Answer = Polled
  public static let kind = FrameKind.polledQuery
  public var user: String
  public var connection: String

  public init(user: String, connection: String) {
    self.user = user
    self.connection = connection
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.string(connection)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    connection = try reader.identifier()
  }
}

/// A client unsubscribes with a request: polls that name this connection alone are of these topics no more. Answered, after
/// the commit, by what is left, or by ``Failed``. Topics that it does not poll are passed over.
public struct StopPolling: WireRequest, Equatable {
  public typealias Answer = Polled
  public static let kind = FrameKind.stopPolling
  /// What it authenticated with. Refused UNAUTHENTICATED when that was revoked.
  public var token: TokenName
  public var connection: String
  public var topics: [Topic]

  public init(token: TokenName, connection: String, topics: [Topic]) {
    self.token = token
    self.connection = connection
    self.topics = topics
  }

  public func encode(into writer: inout WireWriter) {
    writer.token(token)
    writer.string(connection)
    writer.list(topics) { $0.string($1.name) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    token = try reader.token()
    connection = try reader.identifier()
    topics = try reader.list { (r: inout WireReader) throws(WireError) in try r.topic() }
  }
}

/// Answers ``PolledQuery`` and ``StopPolling``: what the connection is subscribed to, whether the user may still have it or
/// not. Empty when nobody knows of more than the inbox.
public struct Polled: WireMessage, Equatable {
  public static let kind = FrameKind.polled
  public var topics: [Topic]

  public init(topics: [Topic]) { self.topics = topics }
  public func encode(into writer: inout WireWriter) { writer.list(topics) { $0.string($1.name) } }
  public init(from reader: inout WireReader) throws(WireError) {
    topics = try reader.list { (r: inout WireReader) throws(WireError) in try r.topic() }
  }
}
