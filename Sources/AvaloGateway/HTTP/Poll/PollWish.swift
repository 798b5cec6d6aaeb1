import AvaloCore

/// What a poll asks for.
public struct PollWish {
  private(set) var request: ConnectRequest
  /// The client says itself where it stands.
  let hasCursor: Bool
  let holdMilliseconds: Int64
  /// When it came, in microseconds since 1970, whatever was asked before it is held: the later of two polls stands.
  let arrivedMicroseconds: Int64

  /// Reads `data`: `connectionId`, `cursor`, `holdMs`, `deviceId`, `platform`, `subscriptions`; all optional.
  init(_ view: JSONView, arrivedMicroseconds: Int64) throws(CallError) {
    var request = ConnectRequest()
    var cursor: String?
    var hold = GatewayLimits.pollHoldDefault.milliseconds
    if !view.isNull {
      guard view.kind == .object else {
        throw CallError(.invalidArgument, "data must be an object with \(PollWish.fields)")
      }
      try view.forEachMember { (key, value) throws(CallError) in
        if value.isNull { return }
        if key.matches("connectionId") {
          request.connectionID = try CallValue.identifier(value, "connectionId")
        } else if key.matches("deviceId") {
          request.deviceID = try CallValue.identifier(value, "deviceId")
        } else if key.matches("platform") {
          guard let platform = value.string.flatMap(Platform.init(wireName:)) else {
            throw CallValue.refusal("platform", "one of web, ios, android", value)
          }
          request.platform = platform
        } else if key.matches("subscriptions") {
          request.subscriptions = try CallValue.topicNames(value, "subscriptions", max: HubLimits.streamTopicsMax)
        } else if key.matches("cursor") {
          guard let text = value.string else { throw CallValue.refusal("cursor", "a cursor of ours", value) }
          cursor = text
        } else if key.matches("holdMs") {
          let max = GatewayLimits.pollHoldMax.milliseconds
          hold = try CallValue.integer(value, "holdMs", in: 0...max, "an integer of 0 to \(max) milliseconds")
        } else {
          throw CallValue.unknown(key, among: PollWish.fields)
        }
      }
    }
    if let cursor {
      guard let vector = PositionVector.parse(cursor), !vector.topics.isEmpty else {
        throw CallError(.invalidArgument, "cursor is none of ours: \(cursor.prefix(80))")
      }
      request.positions = vector.positions
      if request.subscriptions == nil { request.subscriptions = vector.topics.map(\.name) }
    }
    if let watched = request.subscriptions?.first(where: { Topic($0)?.isPresence == true }) {
      throw CallError(
        .invalidArgument, "a poll tells events, not presence: ask getPresenceV1, and leave \(watched) out")
    }
    // Without a cursor the log must know where it stopped: then its connection stands for its device.
    if cursor == nil, request.deviceID == nil { request.deviceID = request.connectionID }
    self.request = request
    hasCursor = cursor != nil
    holdMilliseconds = hold
    self.arrivedMicroseconds = arrivedMicroseconds
  }

  /// The connection of a poll that says neither where it stands nor what it is of: what that subscribed to.
  var unspecified: String? { hasCursor || request.subscriptions != nil ? nil : request.connectionID }

  /// The same, of what its connection subscribed to: then it is that connection's places that it goes on from and moves,
  /// whichever device it names. Of the inbox when that is nothing.
  func polling(_ topics: [Topic]) -> PollWish {
    guard !topics.isEmpty else { return self }
    var wish = self
    wish.request.subscriptions = topics.map(\.name)
    wish.request.deviceID = request.connectionID
    return wish
  }

  private static let fields = "connectionId, cursor, holdMs, deviceId, platform, subscriptions"
}
