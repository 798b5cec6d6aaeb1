/// How a user is shown to others. The raw value travels between processes and lies in the registry: never renumber.
public enum PresenceStatus: UInt8, CaseIterable, Sendable {
  case offline = 0
  case online = 1
  case away = 2
  case busy = 3

  /// The name on the wire.
  public var wireName: String {
    switch self {
    case .offline: "offline"
    case .online: "online"
    case .away: "away"
    case .busy: "busy"
    }
  }

  /// Reads a wire name in lower or upper case.
  public init?(wireName: String) {
    guard let status = PresenceStatus.allCases.first(where: { $0.wireName == wireName.lowercased() }) else {
      return nil
    }
    self = status
  }
}

/// Whom a user lets see a part of their presence. The raw value travels between processes and lies in the registry:
/// never renumber.
public enum Visibility: UInt8, CaseIterable, Sendable {
  case everyone = 0
  /// Users who share a chat with them.
  case chatPartners = 1
  case nobody = 2

  /// The name on the wire.
  public var wireName: String {
    switch self {
    case .everyone: "everyone"
    case .chatPartners: "chat_partners"
    case .nobody: "nobody"
    }
  }

  /// Reads a wire name in lower or upper case.
  public init?(wireName: String) {
    guard let visibility = Visibility.allCases.first(where: { $0.wireName == wireName.lowercased() }) else {
      return nil
    }
    self = visibility
  }
}
