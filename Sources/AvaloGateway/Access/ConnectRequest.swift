import AvaloCore

/// What a client says when it connects: in `{"connect": …}`, in `subscribeToRealtimeEventsV1`, and, of what was
/// granted, in a ticket.
public struct ConnectRequest: Sendable, Equatable {
  public var connectionID: String?
  public var deviceID: String?
  public var platform: Platform
  /// As asked for, not all of them topics perhaps; `nil` when the client did not say.
  public var subscriptions: [String]?
  /// Where the client stopped.
  public var positions: [Topic: Position]

  public init(
    connectionID: String? = nil, deviceID: String? = nil, platform: Platform = .unknown,
    subscriptions: [String]? = nil, positions: [Topic: Position] = [:]
  ) {
    self.connectionID = connectionID
    self.deviceID = deviceID
    self.platform = platform
    self.subscriptions = subscriptions
    self.positions = positions
  }

  /// Reads the fields from an object, or none from `null`. `token`, which a connect frame has beside them, is passed
  /// over; any other unknown field is refused.
  /// - `topicsMax`: subscriptions, and positions, in one request.
  public init(_ view: JSONView, topicsMax: Int) throws(CallError) {
    self.init()
    if view.isNull { return }
    guard view.kind == .object else {
      throw CallError(
        .invalidArgument, "expected an object with connectionId, deviceId, platform, subscriptions and positions")
    }
    try view.forEachMember { (key, value) throws(CallError) in
      if key.matches("token") || value.isNull { return }
      if key.matches("connectionId") {
        connectionID = try CallValue.identifier(value, "connectionId")
      } else if key.matches("deviceId") {
        deviceID = try CallValue.identifier(value, "deviceId")
      } else if key.matches("platform") {
        guard let platform = value.string.flatMap(Platform.init(wireName:)) else {
          throw CallValue.refusal("platform", "one of web, ios, android", value)
        }
        self.platform = platform
      } else if key.matches("subscriptions") {
        let names = try CallValue.topicNames(value, "subscriptions", max: topicsMax)
        guard !names.isEmpty else {
          throw CallError(.invalidArgument, "subscriptions is empty: leave it out for the user's own inbox")
        }
        subscriptions = names
      } else if key.matches("positions") {
        positions = try ConnectRequest.positions(value, max: topicsMax)
      } else {
        throw CallValue.unknown(key, among: "connectionId, deviceId, platform, subscriptions, positions")
      }
    }
  }

  /// What the client asks for, as the user it is.
  public func topics(of identity: Identity) -> [String] { subscriptions ?? ["user:" + identity.user] }

  private static func positions(_ view: JSONView, max: Int) throws(CallError) -> [Topic: Position] {
    guard view.kind == .object else {
      throw CallValue.refusal("positions", "an object of topics and {\"epoch\", \"offset\"}", view)
    }
    var positions: [Topic: Position] = [:]
    try view.forEachMember { (key, value) throws(CallError) in
      guard let topic = key.string.flatMap(Topic.init) else {
        throw CallValue.refusal("a key of positions", "a topic such as \"user:u\"", key)
      }
      guard positions.count < max else {
        throw .over(.listItems, max: max, "positions may name at most \(max) topics")
      }
      guard let epoch = value["epoch"]?.string.flatMap(Epoch.init),
        let offset = value["offset"].flatMap(CallValue.integer),
        offset >= 0
      else {
        throw CallValue.refusal(
          "positions of \(topic)", "{\"epoch\": sixteen hexadecimal digits, \"offset\": an integer from 0}", value)
      }
      positions[topic] = Position(epoch: epoch, offset: UInt64(offset))
    }
    return positions
  }
}
