import AvaloCore

/// Who follows the log over all its topics, and which events are kept for them, in the log's own file and transactions.
/// A part of ``EventLog``, under its rules: rows without meaning, the engine thread alone.
///
/// A followed event is a short row that says where the event lies. It holds nothing back: the event expires, is evicted
/// or erased as if nobody followed.
public protocol FollowStore: AnyObject {
  func followers() throws(LogError) -> [StoredFollower]
  /// Stores the follower in the place of the one of that name.
  func put(_ follower: StoredFollower) throws(LogError)
  func removeFollower(_ name: String) throws(LogError)

  /// The event that was appended last, in the running transaction, is followed. It is of this type.
  func followLast(_ type: EventType) throws(LogError)
  /// How many events are kept for followers. Takes its time when there are many.
  func followedCount() throws(LogError) -> Int
  /// Forgets the oldest ones, up to and including `sequence`, at most `limit`; returns them.
  func dropFollowed(upTo sequence: UInt64, limit: Int) throws(LogError) -> [Followed]
}

/// Somebody who reads everything of some types, in the order of the log's sequence.
public struct StoredFollower: Sendable, Equatable {
  public var name: String
  public var types: EventTypes
  /// Up to and including this sequence they need nothing any more.
  public var acknowledged: UInt64
  /// Events that were dropped before they were acknowledged, because too many waited.
  public var missed: UInt64
  /// Milliseconds since 1970, at most an hour behind.
  public var seen: Int64

  public init(name: String, types: EventTypes, acknowledged: UInt64, missed: UInt64 = 0, seen: Int64) {
    self.name = name
    self.types = types
    self.acknowledged = acknowledged
    self.missed = missed
    self.seen = seen
  }
}

/// An event that is kept for followers.
public struct Followed: Sendable, Equatable {
  public var sequence: UInt64
  public var type: EventType

  public init(sequence: UInt64, type: EventType) {
    self.sequence = sequence
    self.type = type
  }
}

/// Asks for followed events beyond `after`.
public struct FollowRequest: Sendable, Equatable {
  public var types: EventTypes
  public var after: UInt64
  /// Rows stop after the first that reaches it, names and numbers counted.
  public var bytesMax: Int
  /// Events that expired by then are left out.
  public var nowMilliseconds: Int64

  public init(types: EventTypes, after: UInt64, bytesMax: Int, nowMilliseconds: Int64) {
    self.types = types
    self.after = after
    self.bytesMax = bytesMax
    self.nowMilliseconds = nowMilliseconds
  }
}

/// A page of followed events.
public struct FollowPage: Sendable {
  /// Everything of the types up to and including this sequence is on the page, or gone.
  public var through: UInt64
  /// Events of the types that expired, were evicted or erased before they were read. An erasure counts from the commit
  /// that begins it on, not from when the events have gone.
  public var gone = 0
  public var rows: [Row] = []

  public struct Row: Sendable, Equatable {
    public var sequence: UInt64
    public var topic: String
    public var offset: UInt64
    public var record: [UInt8]

    /// What it takes on a page.
    var bytes: Int { record.count + topic.utf8.count + StoreLimits.followedRowBytes }

    public init(sequence: UInt64, topic: String, offset: UInt64, record: [UInt8]) {
      self.sequence = sequence
      self.topic = topic
      self.offset = offset
      self.record = record
    }
  }

  /// Bytes of the rows.
  private var bytes = 0

  public init(through: UInt64) { self.through = through }

  /// Adds a row; `false` when it was the last one with room.
  public mutating func add(_ row: Row, of request: FollowRequest) -> Bool {
    rows.append(row)
    bytes += row.bytes
    return bytes < min(request.bytesMax, StoreLimits.pageBytesMax)
  }
}
