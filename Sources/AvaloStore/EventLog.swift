import AvaloCore

/// The durable event log, as its one owner sees it: synchronous, called on the engine thread alone.
///
/// An engine keeps rows and knows nothing of rights, watches or links; which offset comes next, what a duplicate means
/// and when something expires is decided by the caller. Everything between `begin` and `commit` becomes visible and
/// durable together or not at all. After any thrown error the transaction is to be rolled back, and everything read
/// or written in it forgotten; after a failed `commit` the caller calls ``reopen()`` before it goes on.
public protocol EventLog: AccessStore, ReadStore, BroadcastStore, FollowStore {
  /// Which log this is. Changes by ``mint(nowMilliseconds:)``, and by ``reopen()`` if that had not been committed.
  var identity: LogIdentity { get }
  var durability: Durability { get }

  // MARK: The clock

  /// The time as it was noted last, by whichever process; `nil` when it never was.
  var clockMark: ClockMark? { get }
  /// Notes the time, in the running transaction.
  func note(_ mark: ClockMark) throws(LogError)

  // MARK: Transactions

  func begin() throws(LogError)
  /// Under ``Durability/disk`` returns when the disk has it.
  func commit() throws(LogError)
  func rollback()
  /// Forgets all that is cached and reads it again; the transaction, if there was one, is gone.
  func reopen() throws(LogError)
  /// Marks the log as closed in good order, on disk, and lets it go. Nothing may be called after.
  func close() throws(LogError)
  /// Begins a new generation: offsets stay, epochs change, cursors beyond their topic's head fall back to it.
  func mint(nowMilliseconds: Int64) throws(LogError)

  // MARK: Topics and events

  func createTopic(named name: String) throws(LogError) -> TopicID
  /// Appends an event. `offset` must be the topic's head plus one; `key` is remembered with it, and that it is a message.
  func append(
    topic: TopicID, offset: UInt64, expires: Int64, record: [UInt8], key: StoredKey?, message: ChatMessage?
  ) throws(LogError)
  /// Stores a record once for many topics; `count` of them follow by ``append(topic:offset:shared:message:)``, in this
  /// transaction or later ones, before it expires.
  func appendShared(expires: Int64, record: [UInt8], count: Int) throws(LogError) -> Int64
  func append(topic: TopicID, offset: UInt64, shared: Int64, message: ChatMessage?) throws(LogError)
  /// The offset just before the oldest event that has not expired, or the head when there is none.
  func tail(of topic: TopicID, nowMilliseconds: Int64) throws(LogError) -> UInt64
  /// Bytes of the records in a topic; of a long one an estimate by its ends.
  func bytes(of topic: TopicID) throws(LogError) -> Int
  /// Removes events up to and including `offset`, and later ones until `bytes` of records are gone in all; at most
  /// ``StoreLimits/chunkRows``. Advances the floor as far as it got, which it returns. Never takes the head.
  func evict(topic: TopicID, upTo offset: UInt64, freeing bytes: Int) throws(LogError) -> (
    floor: UInt64, removed: Removed
  )
  /// Removes events that expired before `before`, at most ``StoreLimits/chunkRows``.
  func expire(before: Int64) throws(LogError) -> Removed

  // MARK: Idempotency keys

  func key(topic: TopicID, hash: UInt64) throws(LogError) -> StoredKey?
  /// Stores a key without an event, or anew.
  func put(_ key: StoredKey, topic: TopicID) throws(LogError)

  // MARK: Devices

  func device(user: String, device: String) throws(LogError) -> StoredDevice?
  /// Of one user, least recently seen first.
  func devices(of user: String) throws(LogError) -> [StoredDevice]
  func register(
    user: String, device: String, platform: Platform, seen: Int64, isPassing: Bool
  ) throws(LogError) -> DeviceID
  /// Notes when the device was seen, and its platform unless that is `nil`.
  func touch(device: DeviceID, platform: Platform?, seen: Int64) throws(LogError)
  /// Notes ``StoredDevice/polled``.
  func note(polled: String, device: DeviceID) throws(LogError)
  /// Removes the device and its cursors.
  func forget(device: DeviceID) throws(LogError)
  /// Devices in the order of their numbers, after `after`, at most ``StoreLimits/chunkRows``.
  func devices(after: DeviceID) throws(LogError) -> [StoredDevice]
  func cursors(of device: DeviceID) throws(LogError) -> [StoredCursor]
  /// Stores a cursor, or moves the one there is, which began where it began.
  func put(_ cursor: StoredCursor, device: DeviceID) throws(LogError)
  /// Removes one cursor of the device.
  func forget(cursor topic: TopicID, device: DeviceID) throws(LogError)

  // MARK: Delayed events

  func hold(_ event: DelayedEvent) throws(LogError)
  /// Those due at or before `now`, in order, at most `limit`.
  func due(nowMilliseconds: Int64, limit: Int) throws(LogError) -> [DelayedEvent]
  /// When the next is due; `nil` when none is held.
  func nextDue() throws(LogError) -> Int64?
  func release(delayed id: Int64) throws(LogError)
  /// The event that is held for the topic under that idempotency key.
  func delayed(topic: String, hash: UInt64) throws(LogError) -> Int64?
  /// How many are held. Takes its time when there are many.
  func delayedCount() throws(LogError) -> Int

  // MARK: Housekeeping

  /// Does a bounded piece of the engine's own work in a transaction of its own, outside any other: index, sweep,
  /// compact. `rows` is how much; what expired before `before` may go. Returns whether more is waiting.
  func maintain(rows: Int, before: Int64) throws(LogError) -> Bool
  func statistics() throws(LogError) -> LogStatistics
  /// A reader with a view of its own, for one other thread.
  func reader() throws(LogError) -> any EventLogReader
}

extension EventLog {
  /// Appends an event that is no message of a chat.
  public func append(
    topic: TopicID, offset: UInt64, expires: Int64, record: [UInt8], key: StoredKey?
  ) throws(LogError) {
    try append(topic: topic, offset: offset, expires: expires, record: record, key: key, message: nil)
  }

  public func register(user: String, device: String, platform: Platform, seen: Int64) throws(LogError) -> DeviceID {
    try register(user: user, device: device, platform: platform, seen: seen, isPassing: false)
  }

  public func append(topic: TopicID, offset: UInt64, shared: Int64) throws(LogError) {
    try append(topic: topic, offset: offset, shared: shared, message: nil)
  }
}

/// Reads what is committed, beside the owner, on a thread of its own.
public protocol EventLogReader: ReadRows, EventLogTracer {
  /// One page. Offsets up to `through` that are not among the rows are holes.
  func read(_ request: ReadRequest) throws(LogError) -> ReadOutcome
  /// One page of what is followed, over all topics.
  func follow(_ request: FollowRequest) throws(LogError) -> FollowPage
}

/// Asks for a page of a topic: what lies after `after`, up to and including `upTo`.
public struct ReadRequest: Sendable, Equatable {
  public var topic: String
  public var epoch: Epoch
  public var after: UInt64
  public var upTo: UInt64
  /// Rows stop after the first that reaches it.
  public var bytesMax: Int
  public var rowsMax: Int
  /// Events that expired by then are left out.
  public var nowMilliseconds: Int64

  public init(
    topic: String, epoch: Epoch, after: UInt64, upTo: UInt64, bytesMax: Int, rowsMax: Int = StoreLimits.pageRowsMax,
    nowMilliseconds: Int64
  ) {
    self.topic = topic
    self.epoch = epoch
    self.after = after
    self.upTo = upTo
    self.bytesMax = bytesMax
    self.rowsMax = rowsMax
    self.nowMilliseconds = nowMilliseconds
  }
}

public enum ReadOutcome {
  case page(ReadPage)
  /// The topic's epoch is this one: what was asked for means nothing here.
  case otherEpoch(Epoch)
}

/// A page of a topic.
public struct ReadPage {
  public var floor: UInt64
  public var through: UInt64
  public var rows: [(offset: UInt64, record: [UInt8])]

  public init(floor: UInt64, through: UInt64, rows: [(offset: UInt64, record: [UInt8])]) {
    self.floor = floor
    self.through = through
    self.rows = rows
  }
}
