import AvaloCore

// Who may do what, as a log of its own: the scheduler owns it, gateways follow it (delivery.md, rule 11).

/// A step of the access log. A gateway applies it in every loop, then answers ``AccessConfirmed``. A new link begins with
/// the whole state as such steps, ended by ``AccessLive``; those need no answer.
public struct AccessChanged: WireMessage, Equatable {
  public static let kind = FrameKind.accessChanged
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
public struct Erase: WireRequest, Equatable {
  public typealias Answer = Erased
  public static let kind = FrameKind.erase
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

/// Answers ``Erase``: what there was.
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
  fileprivate mutating func change(_ change: AccessChanged.Change) {
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

  fileprivate mutating func change() throws(WireError) -> AccessChanged.Change {
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
