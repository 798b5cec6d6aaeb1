import AvaloCore

/// Asks what a log knows of an event, by its id: for people who ask "what became of it?".
public struct TraceRequest: Sendable {
  public var eventID: String
  /// Who may have published it: its idempotency key is looked for under each.
  public var owners: [String]
  /// Only there; everywhere when `nil`.
  public var topic: String?
  /// Finds at most so many of each kind.
  public var limit: Int

  public init(eventID: String, owners: [String], topic: String?, limit: Int) {
    self.eventID = eventID
    self.owners = owners
    self.topic = topic
    self.limit = limit
  }
}

/// What a log knows of an event.
public struct EventTrace: Sendable {
  /// The event as it is kept.
  public struct Kept: Sendable {
    /// `nil`: a broadcast, of which no single inbox was asked for.
    public var topic: String?
    /// 0 without a topic.
    public var offset: UInt64
    public var record: [UInt8]
    /// It is in so many inboxes; 0 when it is no broadcast.
    public var recipients: UInt64

    public init(topic: String?, offset: UInt64, record: [UInt8], recipients: UInt64 = 0) {
      self.topic = topic
      self.offset = offset
      self.record = record
      self.recipients = recipients
    }
  }

  /// That it was accepted once, which is known for longer than the event itself.
  public struct Accepted: Sendable {
    /// `nil`: a broadcast.
    public var topic: String?
    public var owner: String
    public var key: StoredKey

    public init(topic: String?, owner: String, key: StoredKey) {
      self.topic = topic
      self.owner = owner
      self.key = key
    }
  }

  /// What became of an event that was held for later, which is known for a day behind its time.
  public struct Fate: Sendable {
    /// Where it was held.
    public var topic: String
    public var owner: String
    /// As it was noted, under ``LogIdentity/hash(ofHeld:)``: its offset says what, the time when.
    public var key: StoredKey

    public init(topic: String, owner: String, key: StoredKey) {
      self.topic = topic
      self.owner = owner
      self.key = key
    }
  }

  public var kept: [Kept] = []
  public var accepted: [Accepted] = []
  public var fates: [Fate] = []
  /// Held until their time, by their topic.
  public var held: [DelayedEvent] = []

  public init() {}
}

/// A device, and how far it has acknowledged one topic.
public struct TracedDevice: Sendable, Equatable {
  public var user: String
  public var device: StoredDevice
  /// `nil`: nothing yet.
  public var cursor: UInt64?
  /// What lies up to here was never the device's.
  public var began: UInt64
  /// The first offset of the user's present membership; `nil` for no member.
  public var since: UInt64?

  public init(user: String, device: StoredDevice, cursor: UInt64?, began: UInt64 = 0, since: UInt64? = nil) {
    self.user = user
    self.device = device
    self.cursor = cursor
    self.began = began
    self.since = since
  }
}

/// Looks through a log for people. Takes its time where there is no index for the question, and holds up nobody: it reads
/// beside the owner, as ``EventLogReader`` does.
public protocol EventLogTracer: AnyObject {
  func trace(_ request: TraceRequest) throws(LogError) -> EventTrace
  /// The devices that have a cursor in a topic, and of an inbox all of its user's; at most `limit`.
  func devices(of topic: String, limit: Int) throws(LogError) -> [TracedDevice]
}
