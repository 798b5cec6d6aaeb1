import AvaloCore

/// A session that a request of a named connection began: a held poll, or a stream. Of those with one user, kind and
/// connection the one that began last stands, over all gateways; the others are told ``LeaseLost``, and what they
/// acknowledge does not count any more (delivery.md, rule 9). Goes before the session's ``Attach``; not answered.
public struct Lease: WireMessage, Equatable {
  public static let kind = FrameKind.lease
  public enum Use: UInt8, CaseIterable, Sendable {
    case poll = 1
    case stream = 2
  }
  public var session: UInt64
  /// The gateway's own; comes back in ``LeaseLost``.
  public var place: UInt32
  public var user: String
  public var connection: String
  public var use: Use
  /// When it began, by the gateway's wall clock, in microseconds since 1970. The same again after a new link.
  public var beganMicroseconds: Int64

  public init(
    session: UInt64, place: UInt32, user: String, connection: String, use: Use, beganMicroseconds: Int64
  ) {
    self.session = session
    self.place = place
    self.user = user
    self.connection = connection
    self.use = use
    self.beganMicroseconds = beganMicroseconds
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(session)
    writer.integer(place)
    writer.string(user)
    writer.string(connection)
    writer.integer(use.rawValue)
    writer.integer(beganMicroseconds)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    session = try reader.integer()
    place = try reader.integer()
    user = try reader.identifier()
    connection = try reader.identifier()
    guard let use = Use(rawValue: try reader.integer()) else { throw .malformed("use of a lease") }
    self.use = use
    beganMicroseconds = try reader.integer()
  }
}

/// Another session has the lease: this one ends, and says nothing more for its device. Carries the correlation of the
/// ``Lease``.
public struct LeaseLost: WireMessage, Equatable {
  public static let kind = FrameKind.leaseLost
  public var session: UInt64
  public var place: UInt32

  public init(session: UInt64, place: UInt32) {
    self.session = session
    self.place = place
  }
  public func encode(into writer: inout WireWriter) {
    writer.integer(session)
    writer.integer(place)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    session = try reader.integer()
    place = try reader.integer()
  }
}
