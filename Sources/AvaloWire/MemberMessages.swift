import AvaloCore

// Who is a member of which chat.

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

/// Which chats is the user a member of? Answered by ``Memberships``.
public struct MembershipsQuery: WireRequest, Equatable {
  public typealias Answer = Memberships
  public static let kind = FrameKind.membershipsQuery
  public var user: String
  /// At most ``WireLimits/batchEntriesMax`` count.
  public var limit: UInt32

  public init(user: String, limit: UInt32) {
    self.user = user
    self.limit = limit
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.integer(limit)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    limit = try reader.integer()
  }
}

/// Answers ``MembershipsQuery``.
public struct Memberships: WireMessage, Equatable {
  public static let kind = FrameKind.memberships
  /// Ids of chats, in no order.
  public var chats: [String]

  public init(chats: [String]) { self.chats = chats }
  public func encode(into writer: inout WireWriter) { writer.list(chats) { $0.string($1) } }
  public init(from reader: inout WireReader) throws(WireError) {
    chats = try reader.list { (r: inout WireReader) throws(WireError) in try r.identifier() }
  }
}
