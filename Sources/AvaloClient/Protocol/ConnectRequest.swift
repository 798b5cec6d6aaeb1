import AvaloCore

/// What a client says to be let in: the `connect` frame, and the data of `subscribeToRealtimeEventsV1`.
public struct ConnectRequest: Sendable, Equatable {
  /// How the server learns who it is.
  public enum Authentication: Sendable, Equatable {
    /// A user's token, sent in the first frame.
    case token(String)
    /// The `wsUrl` that `subscribeToRealtimeEventsV1` returned; the server knows the rest by it.
    case ticket(url: String)
  }

  /// Who connects.
  public var authentication: Authentication
  /// Names the device whose cursor moves with acknowledgements; without, the connection stands in.
  public var deviceID: String?
  /// The kind of device.
  public var platform: Platform
  /// Made by the server when absent.
  public var connectionID: String?
  /// The user's own inbox when absent.
  public var subscriptions: [String]?
  /// The last position processed of each topic, to resume after it.
  public var positions: [String: Position]

  /// What is not given is the server's to decide.
  public init(
    _ authentication: Authentication, deviceID: String? = nil, platform: Platform = .unknown,
    connectionID: String? = nil, subscriptions: [String]? = nil, positions: [String: Position] = [:]
  ) {
    self.authentication = authentication
    self.deviceID = deviceID
    self.platform = platform
    self.connectionID = connectionID
    self.subscriptions = subscriptions
    self.positions = positions
  }

  /// The data of the call, without the token.
  public var data: JSONText { JSONText { json in json.object { write(to: &$0) } } }

  func write(to json: inout JSONWriter) {
    if let deviceID { json.member("deviceId", deviceID) }
    if let name = platform.wireName { json.member("platform", name) }
    if let connectionID { json.member("connectionId", connectionID) }
    ConnectRequest.write(subscriptions: subscriptions, positions: positions, to: &json)
  }

  /// The members that name topics.
  static func write(subscriptions: [String]?, positions: [String: Position], to json: inout JSONWriter) {
    if let subscriptions {
      json.key("subscriptions")
      json.array { for topic in subscriptions { $0.string(topic) } }
    }
    if !positions.isEmpty {
      json.key("positions")
      json.object { json in
        for (topic, position) in positions.sorted(by: { $0.key < $1.key }) {
          json.key(topic)
          json.object {
            $0.member("epoch", position.epoch.description)
            $0.member("offset", position.offset)
          }
        }
      }
    }
  }
}
