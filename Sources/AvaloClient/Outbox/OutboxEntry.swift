/// One thing to be told to the server, as it is kept until then.
public struct OutboxEntry: Sendable, Equatable {
  /// Its place: a store gives it, and lower ones go first.
  public var sequence: Int64
  /// Whose it is: told only while that user is connected.
  public var user: String
  /// The function to call.
  public var name: String
  /// What the function takes.
  public var data: JSONText
  /// Of two entries with one key only the later counts.
  public var key: String?
  /// Milliseconds since 1970.
  public var expiresAtMilliseconds: Int64

  /// The sequence is the store's to give.
  public init(
    sequence: Int64 = 0, user: String, name: String, data: JSONText, key: String? = nil, expiresAtMilliseconds: Int64
  ) {
    self.sequence = sequence
    self.user = user
    self.name = name
    self.data = data
    self.key = key
    self.expiresAtMilliseconds = expiresAtMilliseconds
  }
}

/// Where an ``Outbox`` keeps its entries. A store may serve several users, and one outbox at a time.
public protocol OutboxStore: Sendable {
  /// Adds an entry behind the others, with a sequence of the store's, and takes away an earlier one of the same user and
  /// key. Returns when it is kept. False when the user has `max` entries already.
  func add(_ entry: OutboxEntry, max: Int) async throws -> Bool
  /// The user's oldest.
  func first(of user: String) async throws -> OutboxEntry?
  /// In their order.
  func all(of user: String) async throws -> [OutboxEntry]
  /// By its sequence; one that is not there is no error.
  func remove(_ entry: OutboxEntry) async throws
}

/// What becomes of entries.
public enum OutboxEvent: Sendable, Equatable {
  /// It was told to the server; this is what it answered.
  case sent(OutboxEntry, answer: JSONText)
  /// The server will not have it.
  case failed(OutboxEntry, ClientError)
  /// Its time was over before it could be told.
  case expired(OutboxEntry)
  /// The store cannot be read or written: said once until it can. What waits is tried again after a while, and nothing
  /// that was sent is sent again.
  case stuck(String)
}
