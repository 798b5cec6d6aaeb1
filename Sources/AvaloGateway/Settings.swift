import AvaloCore
import AvaloSystem
import AvaloWire

/// Everything an operator can say about the gateway: the `settings` of its manifest.
///
///     auth:
///       secret_file: user-tokens.secret      # HS256, and by its length HS384 and HS512
///       keys: [{file: keys/issuer.pem, algorithm: RS256, kid: "2024"}]
///       jwks_file: jwks.json
///       jwks_url: https://id.example.com/.well-known/jwks.json
///       firebase: {project: my-app}          # ID tokens of Firebase Authentication
///       issuer: https://id.example.com
///       audience: [avalo]
///       user_claim: sub
///       chats_claim: chats
///       leeway: 30s
///       lifetime_max: 30d                    # after its iat no token is believed for longer
///     api_keys_file: api-keys.json
///     cors: {origins: [https://app.example.com, loopback]}
///     proxies: {trusted: [127.0.0.1, 10.0.0.0/8], proxy_protocol: false}
///     public_url: wss://rt.example.com        # what `wsUrl` begins with; default: the request's own host
///     tls: {certificate: cert.pem, key: key.pem}
///     ping_interval: 25s
///     grace: 10s
///     outbox: {bytes_max: 256KiB, stall_max: 20s}
///     trace: {keep: 16MiB}                    # of notes for `avaloctl trace`, on disk; 0: none are made
///     connections: {max: 100000, per_user: 20, per_address: 1000, topics: 100, presence_topics: 1000}
///     topics: {feed: {subscribe: any}, chat: {subscribe: members, publish: members}}
///     flags: {realtime_engine_v2: {rollout: 5, allow: [ann]}, realtime_presence: {rollout: 100}}
///     membership_webhook: {url: https://api.example.com/members, secret_file: keys/webhook.secret}
///     demo_folder: /srv/avalo-demo           # a page to see it live, at /demo/
///     drain: {reconnects_per_second: 500}
///     limits: {http_body_max: 256KiB, publishes_in_flight: 20000, publishes_per_second: 5000, calls_per_second: 100}
public struct GatewaySettings: Sendable, Equatable {
  public var auth: AuthenticationSettings
  /// A JSON file of ``APIKeys``; without one, servers have no access.
  public var apiKeysFile: String?
  public var cors: CORSSettings
  public var proxies: ProxySettings
  /// `ws://` or `wss://`, a host, perhaps a port and a path; without a slash at the end.
  public var publicURL: String?
  public var tls: TLSSettings?
  /// A client says something, and the server pings, this often.
  public var pingInterval: Duration
  /// On top of the interval, before a silent client is gone.
  public var grace: Duration
  public var outbox: OutboxSettings
  /// Bytes of notes for people who ask what became of an event; 0: none are made.
  public var traceBytesMax: Int
  public var connections: ConnectionSettings
  /// Kinds that differ from ``TopicRule/builtIn``.
  public var topics: [String: TopicRule]
  public var flags: FeatureFlags
  /// Who decides on topics that a token does not name; `nil`: nobody, they are denied.
  public var membershipWebhook: MembershipWebhookSettings?
  /// A page that is served below `/demo/`; `nil`: none is.
  public var demoFolder: String?
  public var limits: LimitSettings
  public var drain: DrainSettings

  /// Reads them all; to be used only when there are no problems.
  /// - `folder`: where relative paths start.
  public static func read(
    _ node: SettingsNode, folder: String?
  ) -> (settings: GatewaySettings, problems: [SettingsProblem]) {
    let (settings, problems) = SettingsReader.read(node, folder: folder) { GatewaySettings(&$0) }
    return (settings, problems)
  }

  init(_ reader: inout SettingsReader) {
    auth = reader.section("auth") { AuthenticationSettings(&$0) }
    apiKeysFile = reader.optionalPath("api_keys_file")
    cors = reader.section("cors") { CORSSettings(&$0) }
    proxies = reader.section("proxies") { ProxySettings(&$0) }
    publicURL = reader.value("public_url", "a URL such as \"wss://rt.example.com\"", .some(nil), empty: nil) {
      guard case .string(let text) = $0.value, let url = GatewaySettings.webSocketURL(text) else { return nil }
      return url
    }
    tls = reader.optionalSection("tls") { TLSSettings(certificate: $0.path("certificate"), key: $0.path("key")) }
    pingInterval = reader.duration("ping_interval", in: .seconds(1)...(.seconds(600)), default: .seconds(25))
    grace = reader.duration("grace", in: .seconds(1)...(.seconds(600)), default: .seconds(10))
    outbox = reader.section("outbox") { OutboxSettings(&$0) }
    traceBytesMax = reader.section("trace") {
      $0.bytes("keep", in: 0...GatewayLimits.traceBytesMax, default: GatewayLimits.traceBytesDefault)
    }
    connections = reader.section("connections") { ConnectionSettings(&$0) }
    topics = Dictionary(
      reader.table("topics") { kind, rule in TopicRule(kind, &rule) }.map { ($0.name, $0.value) },
      uniquingKeysWith: { first, _ in first })
    flags = reader.section("flags") { FeatureFlags(&$0) }
    membershipWebhook = reader.optionalSection("membership_webhook") { MembershipWebhookSettings(&$0) }
    demoFolder = reader.optionalPath("demo_folder")
    limits = reader.section("limits") { LimitSettings(&$0) }
    drain = reader.section("drain") { DrainSettings(&$0) }
  }

  private static func webSocketURL(_ text: String) -> String? {
    guard text.hasPrefix("ws://") || text.hasPrefix("wss://") else { return nil }
    let rest = text.utf8.drop { $0 != UInt8(ascii: "/") }.dropFirst(2)
    guard let first = rest.first, first != UInt8(ascii: "/"), !rest.contains(where: { $0 <= 0x20 || $0 >= 0x7F }),
      !rest.contains(UInt8(ascii: "?")), !rest.contains(UInt8(ascii: "#"))
    else { return nil }
    return text.hasSuffix("/") ? String(text.dropLast()) : text
  }
}

/// Whose tokens are believed.
public struct AuthenticationSettings: Sendable, Equatable {
  public struct Key: Sendable, Equatable {
    /// A PEM file: a public key or a certificate.
    public var file: String
    /// Without one, what the key's type is usually used with.
    public var algorithm: TokenAlgorithm?
    public var keyID: String?
  }
  public var secretFile: String?
  public var keys: [Key]
  public var jwksFile: String?
  public var remotes: [RemoteKeySettings]
  public var issuer: String?
  /// A token for any of these is accepted; empty: the audience is not looked at.
  public var audiences: [String]
  public var userClaim: String
  public var chatsClaim: String
  public var leeway: Duration
  /// From a token's `iat`; revocations are kept as long.
  public var lifetimeMax: Duration

  init(_ reader: inout SettingsReader) {
    secretFile = reader.optionalPath("secret_file")
    keys = reader.sections("keys") { key in
      Key(
        file: key.path("file"),
        algorithm: key.value("algorithm", "one of RS256, ES256, EdDSA and their kin", .some(nil), empty: nil) {
          guard case .string(let name) = $0.value else { return nil }
          return TokenAlgorithm(rawValue: name).map { .some($0) }
        },
        keyID: key.optionalString("kid"))
    }
    jwksFile = reader.optionalPath("jwks_file")
    remotes = RemoteKeySettings.read(&reader)
    issuer = reader.optionalString("issuer")
    audiences = reader.value("audience", "a text or a list of texts", [], empty: []) {
      switch $0.value {
      case .string(let text): [text]
      case .list(let items):
        items.allSatisfy { if case .string = $0.value { true } else { false } }
          ? items.compactMap { if case .string(let text) = $0.value { text } else { nil } } : nil
      default: nil
      }
    }
    userClaim = reader.string("user_claim", default: "sub")
    chatsClaim = reader.string("chats_claim", default: "chats")
    leeway = reader.duration("leeway", in: .zero...GatewayLimits.leewayMax, default: GatewayLimits.leewayDefault)
    lifetimeMax = reader.duration(
      "lifetime_max", in: .seconds(60)...(.seconds(366 * 86_400)), default: GatewayLimits.tokenLifetimeDefault)
    if secretFile == nil, keys.isEmpty, jwksFile == nil, remotes.isEmpty {
      reader.problem(
        "",
        "needs at least one of secret_file, keys, jwks_file, jwks_url and firebase: without a key no user can connect")
    }
  }
}

/// Pages of which origins may call.
public struct CORSSettings: Sendable, Equatable {
  /// Origins as browsers send them, `loopback` for pages of this machine, `*` for all.
  public var origins: [String]

  public init(origins: [String]) { self.origins = origins }

  init(_ reader: inout SettingsReader) {
    origins = reader.value("origins", "origins such as \"https://app.example.com\", or loopback, or *", [], empty: []) {
      let items =
        switch $0.value {
        case .list(let items): items
        default: [$0]
        }
      let origins = items.compactMap { item -> String? in
        guard case .string(let text) = item.value, CORSPolicy.isOriginOrName(text) else { return nil }
        return text
      }
      return origins.count == items.count ? origins : nil
    }
  }
}

/// Who stands between us and the clients.
public struct ProxySettings: Sendable, Equatable {
  /// Their `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
  public var trusted: [AddressRange]
  /// They may begin a connection with a header of the PROXY protocol, version 2.
  public var hasProxyProtocol: Bool

  init(_ reader: inout SettingsReader) {
    trusted = reader.value("trusted", "addresses and networks such as 127.0.0.1 and 10.0.0.0/8", [], empty: []) {
      let items =
        switch $0.value {
        case .list(let items): items
        default: [$0]
        }
      let ranges = items.compactMap { item -> AddressRange? in
        if case .string(let text) = item.value { AddressRange(text) } else { nil }
      }
      return ranges.count == items.count ? ranges : nil
    }
    hasProxyProtocol = reader.boolean("proxy_protocol", default: false)
    if hasProxyProtocol, trusted.isEmpty {
      reader.problem("proxy_protocol", "needs proxies.trusted: from nobody else is a PROXY header taken")
    }
  }
}

/// PEM files.
public struct TLSSettings: Sendable, Equatable {
  /// The server's certificate, then those between it and a root.
  public var certificate: String
  public var key: String

  public init(certificate: String, key: String) {
    self.certificate = certificate
    self.key = key
  }
}

/// What a connection may have waiting.
public struct OutboxSettings: Sendable, Equatable {
  /// Beyond it a session parks: it continues from the log when the client has read.
  public var bytesMax: Int
  /// Without any progress a slow client is closed.
  public var stallMax: Duration

  init(_ reader: inout SettingsReader) {
    bytesMax = reader.bytes("bytes_max", in: (16 << 10)...(16 << 20), default: 256 << 10)
    stallMax = reader.duration("stall_max", in: .seconds(1)...(.seconds(600)), default: .seconds(20))
  }
}

/// How many may be here.
public struct ConnectionSettings: Sendable, Equatable {
  /// Of one gateway instance.
  public var max: Int
  public var perUser: Int
  public var perAddress: Int
  /// To authenticate after the upgrade.
  public var connectTime: Duration
  public var topics: Int
  /// Users whose presence a connection may watch, on top of `topics`.
  public var presenceTopics: Int
  /// Topics that one request may name.
  public var namesMax: Int { topics + presenceTopics }

  init(_ reader: inout SettingsReader) {
    max = reader.integer("max", in: 1...10_000_000, default: 1_000_000)
    perUser = reader.integer("per_user", in: 1...100_000, default: 50)
    perAddress = reader.integer("per_address", in: 1...10_000_000, default: 100_000)
    connectTime = reader.duration("connect_time", in: .seconds(1)...(.seconds(60)), default: .seconds(10))
    // All of them are in one message to the scheduler.
    topics = reader.integer(
      "topics", in: 1...WireLimits.batchEntriesMax, default: GatewayLimits.topicsPerConnectionDefault)
    presenceTopics = reader.integer(
      "presence_topics", in: 0...10_000, default: GatewayLimits.presenceTopicsPerConnectionDefault)
  }
}

/// What protects the process.
public struct LimitSettings: Sendable, Equatable {
  public var httpBodyBytesMax: Int
  public var httpReadTime: Duration
  public var httpIdleTime: Duration
  public var publishesInFlight: Int
  /// Of one API key, at one gateway instance; `nil`: as many as come.
  public var publishesPerSecond: Int?
  /// Of one function by one user, at one gateway instance.
  public var callsPerSecond: Int
  /// Of a WebSocket, all fragments together.
  public var messageBytesMax: Int
  public var payloadBytesMax: Int
  /// Users that one call may name, but for broadcasts.
  public var usersPerCall: Int
  public var broadcastUsers: Int
  public var customStatusBytesMax: Int

  init(_ reader: inout SettingsReader) {
    httpBodyBytesMax = reader.bytes(
      "http_body_max", in: GatewayLimits.httpBodyBytesRange, default: GatewayLimits.httpBodyBytesDefault)
    httpReadTime = reader.duration(
      "http_read_time", in: .milliseconds(100)...(.seconds(300)), default: GatewayLimits.httpReadTimeDefault)
    httpIdleTime = reader.duration(
      "http_idle_time", in: .milliseconds(100)...(.seconds(3600)), default: GatewayLimits.httpIdleTimeDefault)
    publishesInFlight = reader.integer(
      "publishes_in_flight", in: 1...10_000_000, default: GatewayLimits.publishesInFlightDefault)
    callsPerSecond = reader.integer(
      "calls_per_second", in: 1...1_000_000, default: GatewayLimits.callsPerSecondDefault)
    messageBytesMax = reader.bytes(
      "message_max", in: GatewayLimits.httpBodyBytesRange, default: GatewayLimits.messageBytesDefault)
    payloadBytesMax = reader.bytes(
      "payload_max", in: 1024...Limits.payloadBytesMax, default: Limits.payloadBytesMax)
    usersPerCall = reader.integer(
      "users_per_call", in: 1...GatewayLimits.usersPerCallMax, default: GatewayLimits.usersPerCallMax)
    broadcastUsers = reader.integer(
      "broadcast_users", in: 1...Limits.broadcastJobRecipientsMax, default: Limits.broadcastJobRecipientsMax)
    customStatusBytesMax = reader.integer(
      "custom_status_max", in: 1...Limits.customStatusBytesMax, default: Limits.customStatusBytesMax)
    publishesPerSecond =
      reader.has("publishes_per_second") ? reader.integer("publishes_per_second", in: 1...10_000_000) : nil
    // Asked for either way, so that a null there is no unknown key.
    _ = reader.node("publishes_per_second")
  }
}

/// How an instance that ends parts from its clients.
public struct DrainSettings: Sendable, Equatable {
  /// Over all instances.
  public var reconnectsPerSecond: Int

  init(_ reader: inout SettingsReader) {
    reconnectsPerSecond = reader.integer(
      "reconnects_per_second", in: 1...1_000_000, default: GatewayLimits.reconnectsPerSecondDefault)
  }
}

extension TopicRule {
  init(_ kind: String, _ reader: inout SettingsReader) {
    let builtIn = TopicRule.builtIn(kind)
    let subscribe = reader.choice(
      "subscribe",
      of: ["own": Subscribe.own, "claim": .claim, "members": .members, "any": .any, "none": .none],
      default: builtIn.subscribe)
    let publish = reader.choice("publish", of: ["members": Publish.members, "none": .none], default: builtIn.publish)
    self.init(subscribe: subscribe, publish: publish)
    if Topic(kind + ":x") == nil {
      reader.problem("", "a topic kind is a word of lower-case letters, digits and _, at most 32")
    } else if kind == "user", subscribe != .own, subscribe != .none {
      reader.problem("subscribe", "inboxes are their user's own: expected own or none")
    } else if kind != "chat", subscribe == .members {
      reader.problem("subscribe", "only chats have members: expected own, claim, any or none")
    }
  }
}
