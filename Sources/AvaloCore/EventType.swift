/// What an event is about. The raw value is its code between processes and in the log: never renumber.
public enum EventType: UInt8, CaseIterable, Sendable {
  case chatMessage = 1
  case typingIndicator = 2
  case readReceipt = 3
  case presenceUpdate = 4
  case notification = 5
  case feedUpdate = 6
  case matchCreated = 7
  case likeReceived = 8

  /// How an event of this type is kept.
  public enum Retention: Sendable {
    /// Appended to its topic's log, takes an offset.
    case durable
    /// Keyed state: only the latest value counts, takes no offset.
    case latest
    /// Never stored, dropped first under pressure.
    case ephemeral
  }

  /// The name on the wire, lower case.
  public var wireName: String {
    switch self {
    case .chatMessage: "chat_message"
    case .typingIndicator: "typing_indicator"
    case .readReceipt: "read_receipt"
    case .presenceUpdate: "presence_update"
    case .notification: "notification"
    case .feedUpdate: "feed_update"
    case .matchCreated: "match_created"
    case .likeReceived: "like_received"
    }
  }

  /// Seconds an event lives unless it says otherwise.
  public var defaultTTLSeconds: UInt32 {
    switch self {
    case .chatMessage, .readReceipt, .matchCreated, .likeReceived: 24 * 3600
    case .typingIndicator: 5
    case .presenceUpdate: 5 * 60
    case .notification: 7 * 24 * 3600
    case .feedUpdate: 3600
    }
  }

  public var retention: Retention {
    switch self {
    case .chatMessage, .notification, .feedUpdate, .matchCreated, .likeReceived: .durable
    case .readReceipt, .presenceUpdate: .latest
    case .typingIndicator: .ephemeral
    }
  }

  /// Reads a wire name in lower or upper case.
  public init?(wireName: String) {
    guard let type = EventType.byWireName[wireName.lowercased()] else { return nil }
    self = type
  }

  private static let byWireName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.wireName, $0) })
}
