import AvaloCore

/// Take back an event that is held for later. Answered by ``DelayedCancelled`` or ``Failed``: NOT_FOUND for one nobody
/// knows, FAILED_PRECONDITION for one that was delivered.
public struct CancelDelayed: WireRequest, Equatable {
  public typealias Answer = DelayedCancelled
  public static let kind = FrameKind.cancelDelayed
  /// Whose event it is.
  public var owner: String
  public var eventID: String
  /// Where it is held; empty for where the owner last had an event of this id held.
  public var topic: String

  public init(owner: String, eventID: String, topic: String = "") {
    self.owner = owner
    self.eventID = eventID
    self.topic = topic
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(owner)
    writer.string(eventID)
    writer.string(topic)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    owner = try reader.string()
    eventID = try reader.string()
    topic = try reader.string()
    guard topic.isEmpty || Topic(topic) != nil else { throw .malformed("topic") }
  }
}

/// Answers ``CancelDelayed``: it will not be delivered.
public struct DelayedCancelled: WireMessage, Equatable {
  public static let kind = FrameKind.delayedCancelled
  public var topic: Topic
  /// An earlier call had taken it back.
  public var duplicate: Bool

  public init(topic: Topic, duplicate: Bool) {
    self.topic = topic
    self.duplicate = duplicate
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(topic.name)
    writer.boolean(duplicate)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    topic = try reader.topic()
    duplicate = try reader.boolean()
  }
}
