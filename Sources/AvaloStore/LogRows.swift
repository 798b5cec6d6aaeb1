import AvaloCore

/// A topic's number in its log. 0 is no topic's: broadcasts keep their idempotency keys under it.
public typealias TopicID = Int64
public typealias DeviceID = Int64

/// A topic as the log has it.
public struct StoredTopic: Sendable, Equatable {
  public var id: TopicID
  /// The last offset ever appended; outlives the events.
  public var head: UInt64
  /// Offsets up to and including this one were evicted by the topic's bounds.
  public var floor: UInt64

  public init(id: TopicID, head: UInt64, floor: UInt64) {
    self.id = id
    self.head = head
    self.floor = floor
  }
}

/// What is remembered of an accepted event under its idempotency key.
public struct StoredKey: Sendable, Equatable {
  public var hash: UInt64
  /// Over everything the publisher said: the same key with other content is a conflict.
  public var content: UInt64
  /// Where the event lies; of a broadcast the number of recipients; 0 while it is held for later.
  public var offset: UInt64
  /// Milliseconds since 1970 when it was accepted.
  public var accepted: Int64
  /// Milliseconds since 1970 until which it counts.
  public var until: Int64

  public init(hash: UInt64, content: UInt64, offset: UInt64, accepted: Int64, until: Int64) {
    self.hash = hash
    self.content = content
    self.offset = offset
    self.accepted = accepted
    self.until = until
  }
}

/// A registered device.
public struct StoredDevice: Sendable, Equatable {
  public var id: DeviceID
  public var device: String
  public var platform: Platform
  /// Milliseconds since 1970, at most an hour behind.
  public var seen: Int64
  /// Named by a connection alone, and so perhaps never to come again.
  public var isPassing: Bool
  /// What its polls are of when they do not say: names of topics with commas between; empty where nobody subscribed.
  public var polled: String

  public init(
    id: DeviceID, device: String, platform: Platform, seen: Int64, isPassing: Bool = false, polled: String = ""
  ) {
    self.id = id
    self.device = device
    self.platform = platform
    self.seen = seen
    self.isPassing = isPassing
    self.polled = polled
  }
}

/// Up to where a device has acknowledged a topic, in the present generation.
public struct StoredCursor: Sendable, Equatable {
  /// The topic's number, or ``LogIdentity/awaited(_:)`` of its name when it had none yet.
  public var topic: TopicID
  public var offset: UInt64
  /// Milliseconds since 1970 when the device was last subscribed there, at most a day behind; 0 when nobody wrote it down.
  public var used: Int64
  /// Where it began: what lies up to there was never the device's. Kept as it was when the cursor was first put.
  public var began: UInt64

  public init(topic: TopicID, offset: UInt64, used: Int64 = 0, began: UInt64 = 0) {
    self.topic = topic
    self.offset = offset
    self.used = used
    self.began = began
  }
}

/// An event held until its time.
public struct DelayedEvent: Sendable, Equatable {
  /// Given by the log; in the order of `due`.
  public var id: Int64
  /// Milliseconds since 1970.
  public var due: Int64
  public var topic: String
  /// Its idempotency key, already stored under the topic.
  public var hash: UInt64
  public var content: UInt64
  public var record: [UInt8]

  public init(id: Int64 = 0, due: Int64, topic: String, hash: UInt64, content: UInt64, record: [UInt8]) {
    self.id = id
    self.due = due
    self.topic = topic
    self.hash = hash
    self.content = content
    self.record = record
  }
}

/// What a chunk of expiry or eviction took out of the log.
public struct Removed: Sendable, Equatable {
  /// Deliverable events, by ``EventType/rawValue``: a broadcast to three inboxes counts three.
  public var byType = [Int](repeating: 0, count: 256)
  /// Rows touched: at the chunk's bound there is more to do.
  public var rows = 0
  /// Bytes of records that are gone.
  public var bytes = 0

  public init() {}
  public var events: Int { byType.reduce(0, +) }
}

/// Figures of a log for metrics and people.
public struct LogStatistics: Sendable, Equatable {
  public var topics: Int
  /// Bytes on disk, the write-ahead log included; in memory for the memory engine.
  public var bytes: Int

  public init(topics: Int, bytes: Int) {
    self.topics = topics
    self.bytes = bytes
  }
}

/// What both clocks said at one moment.
public struct ClockMark: Sendable, Equatable {
  /// Milliseconds since 1970 that were believed.
  public var trusted: Int64
  /// Monotonic milliseconds: since the machine's boot.
  public var monotonic: Int64
  /// Noted since the machine's last boot, so that the monotonic times can be compared.
  public var isThisBoot: Bool

  public init(trusted: Int64, monotonic: Int64, isThisBoot: Bool = true) {
    self.trusted = trusted
    self.monotonic = monotonic
    self.isThisBoot = isThisBoot
  }
}
