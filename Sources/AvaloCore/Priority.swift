/// What goes first when there is a backlog. Never reorders a topic's log. The raw value travels between processes.
public enum Priority: UInt8, CaseIterable, Comparable, Sendable {
  case low = 0
  case normal = 1
  case high = 2
  case urgent = 3

  public static func < (a: Priority, b: Priority) -> Bool { a.rawValue < b.rawValue }

  public var wireName: String {
    switch self {
    case .low: "low"
    case .normal: "normal"
    case .high: "high"
    case .urgent: "urgent"
    }
  }

  public init?(wireName: String) {
    guard let priority = Priority.allCases.first(where: { $0.wireName == wireName.lowercased() }) else { return nil }
    self = priority
  }
}
