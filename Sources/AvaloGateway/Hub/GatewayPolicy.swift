import AvaloCore
import AvaloReactor

/// The rules a hub works by; replaced as a whole on reload.
struct GatewayPolicy: Sendable {
  var access: Access
  var limits: SessionLimits

  init(_ access: Access) {
    self.access = access
    limits = SessionLimits(access.settings)
  }
}

/// The bounds of sessions that a sysadmin may change.
struct SessionLimits: Sendable, Equatable {
  var topicsPerConnectionMax: Int
  /// Users whose presence a connection may watch, on top of its topics.
  var presenceTopicsMax: Int
  /// Topics that one request may name.
  var namesMax: Int
  var connectionsPerUserMax: Int
  var connectSecondsMax: UInt32
  /// What a connection may owe before delivery to it parks.
  var backlogBytesMax: Int
  /// On top of a token's end, for clocks that differ: as in its verification.
  var leewayMilliseconds: Int64
  /// Shown to clients; the transports keep it.
  var pingIntervalMilliseconds: Int64

  init(_ settings: GatewaySettings) {
    topicsPerConnectionMax = settings.connections.topics
    presenceTopicsMax = settings.connections.presenceTopics
    namesMax = settings.connections.namesMax
    connectionsPerUserMax = settings.connections.perUser
    connectSecondsMax = UInt32(settings.connections.connectTime.milliseconds / 1000)
    backlogBytesMax = settings.outbox.bytesMax
    leewayMilliseconds = settings.auth.leeway.milliseconds
    pingIntervalMilliseconds = settings.pingInterval.milliseconds
  }
}

/// How a client says who it is in the handshake itself.
enum UpgradeCredential: Equatable {
  case ticket(String)
  case token(String)

  private static let ticketKey = "ticket="
  private static let tokenProtocol = "avalo.token."

  /// A ticket in the query, or a token among the subprotocols; `nil` when the first frame is to say it.
  init?(_ request: UpgradeRequest) {
    if let item = request.query.split(separator: "&").first(where: { $0.hasPrefix(UpgradeCredential.ticketKey) }) {
      self = .ticket(String(item.dropFirst(UpgradeCredential.ticketKey.utf8.count)))
    } else if let token = request.protocols.first(where: { $0.hasPrefix(UpgradeCredential.tokenProtocol) }) {
      self = .token(String(token.dropFirst(UpgradeCredential.tokenProtocol.utf8.count)))
    } else {
      return nil
    }
  }
}
