import AvaloCore

// Who may do what, as a log of its own: the scheduler owns it, gateways follow it (delivery.md, rule 11).

/// A step of the access log. A gateway applies it in every loop, then answers ``AccessConfirmed``. A new link begins with
/// the whole state as such steps, ended by ``AccessLive``; those need no answer.
public struct Access: WireMessage, Equatable {
  public static let kind = FrameKind.access
  /// The log's position with this step; counts 1, 2, 3 ….
  public var position: UInt64
  public var changes: [Change]

  public enum Change: Sendable, Equatable {
    case revoked(Revocation)
    /// Everything this revocation covered has expired.
    case released(Revocation.Target)
    /// These users are no members of the topic any more: what they had by membership ends.
    case removed(Topic, users: [String])
  }

  public init(position: UInt64, changes: [Change]) {
    self.position = position
    self.changes = changes
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(position)
    writer.list(changes) { $0.change($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    position = try reader.integer()
    changes = try reader.list { (r: inout WireReader) throws(WireError) in try r.change() }
  }
}

/// The state that a new link began with is complete: everything at or below this position has been said.
public struct AccessLive: WireMessage, Equatable {
  public static let kind = FrameKind.accessLive
  public var position: UInt64
  public init(position: UInt64) { self.position = position }
  public func encode(into writer: inout WireWriter) { writer.integer(position) }
  public init(from reader: inout WireReader) throws(WireError) { position = try reader.integer() }
}

/// Everything up to this position is in force in all of the gateway's loops. Not answered.
public struct AccessConfirmed: WireMessage, Equatable {
  public static let kind = FrameKind.accessConfirmed
  public var position: UInt64
  public init(position: UInt64) { self.position = position }
  public func encode(into writer: inout WireWriter) { writer.integer(position) }
  public init(from reader: inout WireReader) throws(WireError) { position = try reader.integer() }
}

// MARK: - Members

/// Change who is a member of a chat. Answered by ``MembersChanged`` when it is committed and in force everywhere.
public struct ChangeMembers: WireRequest, Equatable {
  public typealias Answer = MembersChanged
  public static let kind = FrameKind.changeMembers
  public enum Change: UInt8, CaseIterable, Sendable {
    /// The users become members; those who are stay as they are.
    case add = 1
    case remove = 2
    /// The users are the members, and nobody else.
    case set = 3
  }
  /// The id of a `chat:`.
  public var chat: String
  public var change: Change
  /// Each once, at most ``Limits/membersPerCallMax``.
  public var users: [String]

  public init(chat: String, change: Change, users: [String]) {
    self.chat = chat
    self.change = change
    self.users = users
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(chat)
    writer.integer(change.rawValue)
    writer.list(users) { $0.string($1) }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    chat = try reader.identifier()
    guard let change = Change(rawValue: try reader.integer()) else { throw .malformed("change of members") }
    self.change = change
    users = try reader.list(max: Limits.membersPerCallMax) { (r: inout WireReader) throws(WireError) in
      try r.identifier()
    }
  }
}

/// Answers ``ChangeMembers``.
public struct MembersChanged: WireMessage, Equatable {
  public static let kind = FrameKind.membersChanged
  /// Users who were no members before.
  public var added: UInt32
  /// Users who were members before.
  public var removed: UInt32
  /// How many there are now.
  public var members: UInt32

  public init(added: UInt32, removed: UInt32, members: UInt32) {
    self.added = added
    self.removed = removed
    self.members = members
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(added)
    writer.integer(removed)
    writer.integer(members)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    added = try reader.integer()
    removed = try reader.integer()
    members = try reader.integer()
  }
}

/// A page of a chat's members, in the order of their ids. Answered by ``MemberList``.
public struct ListMembers: WireRequest, Equatable {
  public typealias Answer = MemberList
  public static let kind = FrameKind.listMembers
  public var chat: String
  /// The last user of the page before; empty for the first page.
  public var after: String
  /// At most ``Limits/membersPerCallMax`` count.
  public var limit: UInt32

  public init(chat: String, after: String, limit: UInt32) {
    self.chat = chat
    self.after = after
    self.limit = limit
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(chat)
    writer.string(after)
    writer.integer(limit)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    chat = try reader.identifier()
    after = try reader.string()
    guard after.isEmpty || Topic.isWellFormedID(after.utf8) else { throw .malformed("user id") }
    limit = try reader.integer()
  }
}

/// Answers ``ListMembers``.
public struct MemberList: WireMessage, Equatable {
  public static let kind = FrameKind.memberList
  public struct Member: Sendable, Equatable {
    public var user: String
    /// The first offset of `chat:{id}` that is theirs.
    public var since: UInt64

    public init(user: String, since: UInt64) {
      self.user = user
      self.since = since
    }
  }
  /// How many there are in all.
  public var total: UInt32
  public var members: [Member]
  /// Others follow these.
  public var hasMore: Bool

  public init(total: UInt32, members: [Member], hasMore: Bool) {
    self.total = total
    self.members = members
    self.hasMore = hasMore
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(total)
    writer.list(members) {
      $0.string($1.user)
      $0.integer($1.since)
    }
    writer.boolean(hasMore)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    total = try reader.integer()
    members = try reader.list { (r: inout WireReader) throws(WireError) in
      Member(user: try r.identifier(), since: try r.integer())
    }
    hasMore = try reader.boolean()
  }
}

/// Is each of these users a member of that chat? Answered by ``MembershipAnswer``, in the same order.
public struct MembershipQuery: WireRequest, Equatable {
  public typealias Answer = MembershipAnswer
  public static let kind = FrameKind.membershipQuery
  public struct Entry: Sendable, Equatable {
    public var chat: String
    public var user: String

    public init(chat: String, user: String) {
      self.chat = chat
      self.user = user
    }
  }
  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode(into writer: inout WireWriter) {
    writer.list(entries) {
      $0.string($1.chat)
      $0.string($1.user)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    entries = try reader.list(max: Limits.membersPerCallMax) { (r: inout WireReader) throws(WireError) in
      Entry(chat: try r.identifier(), user: try r.identifier())
    }
  }
}

/// Answers ``MembershipQuery``.
public struct MembershipAnswer: WireMessage, Equatable {
  public static let kind = FrameKind.membershipAnswer
  /// The first offset of the present membership; 0 for no member.
  public var since: [UInt64]

  public init(since: [UInt64]) { self.since = since }

  public func encode(into writer: inout WireWriter) { writer.list(since) { $0.integer($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    since = try reader.list { (r: inout WireReader) throws(WireError) in try r.integer() }
  }
}

// MARK: - Revocations

/// Take tokens back. Answered by ``Revoked`` when it is committed and in force everywhere.
public struct Revoke: WireRequest, Equatable {
  public typealias Answer = Revoked
  public static let kind = FrameKind.revoke
  public var revocation: Revocation

  public init(_ revocation: Revocation) { self.revocation = revocation }

  public func encode(into writer: inout WireWriter) { writer.revocation(revocation) }
  public init(from reader: inout WireReader) throws(WireError) { revocation = try reader.revocation() }
}

/// Answers ``Revoke``.
public struct Revoked: WireMessage, Equatable {
  public static let kind = FrameKind.revoked
  public init() {}
  public func encode(into writer: inout WireWriter) {}
  public init(from reader: inout WireReader) throws(WireError) {}
}

/// Forget a user: their inbox, what is held for it, devices, cursors and memberships; their tokens are taken back.
/// Answered by ``Erased`` when nothing of it is left.
public struct EraseUser: WireRequest, Equatable {
  public typealias Answer = Erased
  public static let kind = FrameKind.eraseUser
  public var user: String
  /// As in a ``Revocation`` of the user.
  public var issuedBeforeMilliseconds: Int64
  public var untilMilliseconds: Int64

  public init(user: String, issuedBeforeMilliseconds: Int64, untilMilliseconds: Int64) {
    self.user = user
    self.issuedBeforeMilliseconds = issuedBeforeMilliseconds
    self.untilMilliseconds = untilMilliseconds
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.integer(issuedBeforeMilliseconds)
    writer.integer(untilMilliseconds)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    issuedBeforeMilliseconds = try reader.integer()
    untilMilliseconds = try reader.integer()
  }
}

/// Answers ``EraseUser``: what there was.
public struct Erased: WireMessage, Equatable {
  public static let kind = FrameKind.erased
  public var events: UInt32
  public var devices: UInt32
  public var memberships: UInt32

  public init(events: UInt32, devices: UInt32, memberships: UInt32) {
    self.events = events
    self.devices = devices
    self.memberships = memberships
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(events)
    writer.integer(devices)
    writer.integer(memberships)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    events = try reader.integer()
    devices = try reader.integer()
    memberships = try reader.integer()
  }
}

// MARK: - Shapes

extension WireWriter {
  /// u8 what (1 user, 2 token, 3 everybody), string.
  mutating func target(_ target: Revocation.Target) {
    switch target {
    case .user(let user):
      integer(UInt8(1))
      string(user)
    case .token(let id):
      integer(UInt8(2))
      string(id)
    case .everybody:
      integer(UInt8(3))
      string("")
    }
  }

  /// A target, i64 issued before, i64 until.
  mutating func revocation(_ revocation: Revocation) {
    target(revocation.target)
    integer(revocation.issuedBeforeMilliseconds)
    integer(revocation.untilMilliseconds)
  }

  /// u8 what (1 revoked, 2 released, 3 removed), then that.
  fileprivate mutating func change(_ change: Access.Change) {
    switch change {
    case .revoked(let revocation):
      integer(UInt8(1))
      self.revocation(revocation)
    case .released(let target):
      integer(UInt8(2))
      self.target(target)
    case .removed(let topic, let users):
      integer(UInt8(3))
      string(topic.name)
      list(users) { $0.string($1) }
    }
  }
}

extension WireReader {
  mutating func target() throws(WireError) -> Revocation.Target {
    let what: UInt8 = try integer()
    let name = try string()
    switch what {
    case 1:
      guard Topic.isWellFormedID(name.utf8) else { throw .malformed("user id") }
      return .user(name)
    case 2:
      guard (1...Limits.tokenIDBytesMax).contains(name.utf8.count) else { throw .malformed("token id") }
      return .token(name)
    case 3:
      guard name.isEmpty else { throw .malformed("everybody has no name") }
      return .everybody
    default: throw .malformed("revocation of \(what)")
    }
  }

  mutating func revocation() throws(WireError) -> Revocation {
    Revocation(try target(), issuedBeforeMilliseconds: try integer(), untilMilliseconds: try integer())
  }

  fileprivate mutating func change() throws(WireError) -> Access.Change {
    switch try integer(UInt8.self) {
    case 1: return .revoked(try revocation())
    case 2: return .released(try target())
    case 3:
      let topic = try topic()
      return .removed(
        topic,
        users: try list(max: Limits.membersPerCallMax) { (r: inout WireReader) throws(WireError) in
          try r.identifier()
        })
    case let what: throw .malformed("change of access \(what)")
    }
  }
}
