import AvaloCore

/// Broadcasts to many users, kept in the log's own file and transactions while their recipients come and are served, and
/// some time after. A part of ``EventLog``, under its rules: rows without meaning, the engine thread alone.
public protocol BroadcastStore: AnyObject {
  func broadcast(_ id: UInt64) throws(LogError) -> StoredBroadcast?
  /// Those that are not finished, in the order they began.
  func unfinishedBroadcasts() throws(LogError) -> [StoredBroadcast]
  /// Stores a broadcast in the place of the one of that id.
  func put(_ broadcast: StoredBroadcast) throws(LogError)
  /// Forgets the broadcast, and everything that was stored for it.
  func removeBroadcast(_ id: UInt64) throws(LogError)
  /// Forgets finished ones: all that finished before `before`, and the oldest beyond `keeping`. Returns how many.
  func removeFinishedBroadcasts(before: Int64, keeping: Int) throws(LogError) -> Int

  /// Stores the event while the recipients come.
  func put(record: [UInt8], ofBroadcast id: UInt64) throws(LogError)
  func record(ofBroadcast id: UInt64) throws(LogError) -> [UInt8]?
  /// Stores a part of the recipients, which begins with number `first`.
  func put(recipients: [String], from first: UInt32, ofBroadcast id: UInt64) throws(LogError)
  /// The part that holds recipient number `index`.
  func recipients(at index: UInt32, ofBroadcast id: UInt64) throws(LogError) -> (first: UInt32, users: [String])?
  /// Forgets the event and all recipients, and nothing else.
  func removeParts(ofBroadcast id: UInt64) throws(LogError)
  /// The record that ``EventLog/appendShared(expires:record:count:)`` stored; `nil` when its time is over, and perhaps when
  /// all references to it are made.
  func shared(_ id: Int64) throws(LogError) -> [UInt8]?
}

/// A broadcast as the log has it.
public struct StoredBroadcast: Sendable, Equatable {
  public enum State: UInt8, Sendable {
    /// Its recipients are coming.
    case receiving = 1
    /// It is accepted: all of them are there and are served.
    case running = 2
    case finished = 3
  }
  /// The hash of its owner and event id, which is the event's idempotency key.
  public var id: UInt64
  public var owner: String
  public var eventID: String
  public var content: UInt64
  /// The call that hands in the recipients.
  public var attempt: UInt64
  public var state = State.receiving
  public var recipients: UInt32
  /// How many of them have come.
  public var received: UInt32 = 0
  public var done: UInt32 = 0
  public var failed: UInt32 = 0
  /// Milliseconds since 1970 when it began, and when it was accepted from then on.
  public var started: Int64
  /// Milliseconds since 1970; 0 until it is.
  public var finished: Int64 = 0
  /// Milliseconds since 1970 when the event's time is over; 0 until it is accepted.
  public var expires: Int64 = 0
  /// The shared record, once it is accepted.
  public var shared: Int64 = 0

  public init(
    id: UInt64, owner: String, eventID: String, content: UInt64, attempt: UInt64, recipients: UInt32, started: Int64
  ) {
    self.id = id
    self.owner = owner
    self.eventID = eventID
    self.content = content
    self.attempt = attempt
    self.recipients = recipients
    self.started = started
  }
}
