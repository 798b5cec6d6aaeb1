import AvaloCore

/// Whether a connection's id is another user's. Answered by ``ConnectionOwner``.
public struct ConnectionOwnerQuery: WireRequest, Equatable {
  public typealias Answer = ConnectionOwner
  public static let kind = FrameKind.connectionOwnerQuery
  public var user: String
  public var connectionID: String

  public init(user: String, connectionID: String) {
    self.user = user
    self.connectionID = connectionID
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.string(connectionID)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    connectionID = try reader.identifier()
  }
}

/// Answers ``ConnectionOwnerQuery``.
public struct ConnectionOwner: WireMessage, Equatable {
  public static let kind = FrameKind.connectionOwner
  /// Somebody else has a connection of that id, and the user has none.
  public var isAnother: Bool

  public init(isAnother: Bool) { self.isAnother = isAnother }

  public func encode(into writer: inout WireWriter) { writer.boolean(isAnother) }
  public init(from reader: inout WireReader) throws(WireError) { isAnother = try reader.boolean() }
}
