/// A set of event types, a bit for each: `1 << code`. The same between processes and in the log.
public struct EventTypes: OptionSet, Hashable, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public init(_ types: some Sequence<EventType>) {
    rawValue = types.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
  }

  public func contains(_ type: EventType) -> Bool { rawValue >> UInt64(type.rawValue) & 1 != 0 }

  /// Those that are appended to a log.
  public static let durable = EventTypes(EventType.allCases.filter { $0.retention == .durable })
}
