/// The kind of device a connection comes from. The raw value travels between processes; 0 is "not said".
public enum Platform: UInt8, CaseIterable, Sendable {
  case unknown = 0
  case web = 1
  case ios = 2
  case android = 3

  /// The name on the wire; `nil` when the client did not say.
  public var wireName: String? {
    switch self {
    case .unknown: nil
    case .web: "web"
    case .ios: "ios"
    case .android: "android"
    }
  }

  public init?(wireName: String) {
    guard let platform = Platform.allCases.first(where: { $0.wireName == wireName.lowercased() }) else { return nil }
    self = platform
  }
}
