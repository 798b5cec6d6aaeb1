import AvaloCore

/// Who may do what, kept in the log's own file and transactions: members of chats, revoked tokens, and the counter of
/// their changes. A part of ``EventLog``, under its rules: rows without meaning, the engine thread alone.
public protocol AccessStore: AnyObject {
  /// Counts the changes of access that were committed; 0 in a new log.
  func accessPosition() throws(LogError) -> UInt64
  func setAccessPosition(_ position: UInt64) throws(LogError)

  // MARK: Members

  func memberCount(of topic: TopicID) throws(LogError) -> Int
  /// In the order of their ids, after `after`, at most `limit`.
  func members(of topic: TopicID, after: String, limit: Int) throws(LogError) -> [StoredMember]
  /// Adds a member, or gives one another first offset.
  func put(_ member: StoredMember, topic: TopicID) throws(LogError)
  func removeMember(_ user: String, of topic: TopicID) throws(LogError)
  /// Topics that the user is a member of, at most `limit`.
  func memberships(of user: String, limit: Int) throws(LogError) -> [TopicID]
  /// Takes the user out of at most `limit` topics; returns out of how many.
  func removeMemberships(of user: String, limit: Int) throws(LogError) -> Int

  // MARK: Revocations

  func revocations() throws(LogError) -> [Revocation]
  /// Stores a revocation in the place of the one with the same target.
  func put(_ revocation: Revocation) throws(LogError)
  func remove(_ target: Revocation.Target) throws(LogError)

  // MARK: Erasing

  /// Users whose inboxes are being erased, so that what was begun is finished after a restart.
  func erasures() throws(LogError) -> [StoredErasure]
  func put(_ erasure: StoredErasure) throws(LogError)
  func removeErasure(of user: String) throws(LogError)
  /// Removes the topic's last event, which ``EventLog/evict(topic:upTo:freeing:)`` spares, and raises the floor to the head.
  func eraseLast(of topic: TopicID) throws(LogError) -> Removed
  /// Drops at most `limit` of the events that are held for the topic; returns how many.
  func releaseDelayed(topic name: String, limit: Int) throws(LogError) -> Int
}

/// A member of a chat.
public struct StoredMember: Sendable, Equatable {
  public var user: String
  /// The first offset of the topic that is theirs.
  public var since: UInt64

  public init(user: String, since: UInt64) {
    self.user = user
    self.since = since
  }
}

/// A user whose inbox is being erased.
public struct StoredErasure: Sendable, Equatable {
  public var user: String
  /// The inbox's head when it began: what comes later stays.
  public var upTo: UInt64

  public init(user: String, upTo: UInt64) {
    self.user = user
    self.upTo = upTo
  }
}
