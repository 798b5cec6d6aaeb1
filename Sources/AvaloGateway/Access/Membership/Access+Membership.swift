import AvaloCore
import AvaloMetrics
import AvaloSystem
import AvaloWeb
import Logging
import Synchronization

// What a token does not say of chats, the membership webhook may.
extension Access {
  /// Parts topics into granted and denied, by the token and by what the webhook has said. What only the webhook can allow,
  /// and it has not decided, is denied as UNAVAILABLE: ask for ``undecided(_:for:)`` first.
  func grant(_ topics: [String], to identity: Identity) -> AccessRules.Grant {
    var grant = rules.grant(topics, to: identity)
    guard let membership else { return grant }
    // Whom it allows need not be a member besides.
    grant.ifMember = grant.ifMember.filter { membership.decision(identity.user, $0) != .allowed }
    var denied: [AccessRules.Grant.Denial] = []
    for var denial in grant.denied {
      guard denial.code == .permissionDenied, let topic = Topic(denial.topic), rules.isByClaim(topic) else {
        denied.append(denial)
        continue
      }
      switch membership.decision(identity.user, topic) {
      case .allowed: grant.granted.append(topic)
      case .denied: denied.append(denial)
      case .unavailable, nil:
        denial.code = .unavailable
        denied.append(denial)
      }
    }
    grant.denied = denied
    return grant
  }

  /// Those topics that the token does not grant, and of which the webhook has said nothing.
  func undecided(_ topics: [String], for identity: Identity) -> [Topic] {
    guard let membership else { return [] }
    let grant = rules.grant(topics, to: identity)
    let denied = grant.denied.compactMap { denial in
      denial.code == .permissionDenied ? Topic(denial.topic).flatMap { rules.isByClaim($0) ? $0 : nil } : nil
    }
    return (grant.granted.filter(grant.ifMember.contains) + denied).filter {
      membership.decision(identity.user, $0) == nil
    }
  }

  /// What to tell of a topic of which the user is no member, as the scheduler says: UNAVAILABLE while the webhook, which
  /// might allow it all the same, has not decided.
  func denial(of topic: Topic, _ code: StatusCode, to user: String) -> AccessRules.Grant.Denial {
    var denial = AccessRules.Grant.Denial(topic: topic.name, code: code)
    guard code == .permissionDenied, let membership, rules.isByClaim(topic) else { return denial }
    switch membership.decision(user, topic) {
    case .unavailable, nil: denial.code = .unavailable
    case .allowed, .denied: break
    }
    return denial
  }

  /// Whether a subscription that a new token does not name may go on: it is not the last token that granted it but the webhook,
  /// and that has not said otherwise.
  func mayStay(_ topic: Topic, after last: Identity) -> Bool {
    guard let membership, rules.isByClaim(topic) else { return false }
    let byToken = rules.grant([topic.name], to: last)
    if byToken.granted.contains(topic), !byToken.ifMember.contains(topic) { return false }
    return membership.decision(last.user, topic) != .denied
  }
}

extension AccessRules.Grant {
  /// Whether nothing was granted, and something may be another time.
  var isForAnotherTime: Bool { granted.isEmpty && denied.contains { $0.code == .unavailable } }
}

extension CallError {
  static let membershipUnknown = CallError(
    .unavailable, "who is a member of the topics asked for cannot be told at the moment: try again",
    retryAfterMilliseconds: GatewayLimits.overloadRetryMilliseconds)
}

/// The webhook over all reloads: one that is asked the same way keeps what it knows.
final class MembershipWebhooks: Sendable {
  private let web: WebClient
  private let clock: MonotonicClock
  private let wall: WallClock
  private let log: Logger
  private let metrics: MembershipMetrics
  private let present = Mutex<(secret: [UInt8], webhook: MembershipWebhook)?>(nil)

  init(web: WebClient, clock: MonotonicClock, wall: WallClock, registry: MetricsRegistry, log: Logger) {
    self.web = web
    self.clock = clock
    self.wall = wall
    self.log = log
    metrics = MembershipMetrics(registry)
  }

  func webhook(_ settings: MembershipWebhookSettings, secret: [UInt8]) -> MembershipWebhook {
    present.withLock { present in
      if let present, present.secret == secret, present.webhook.settings == settings { return present.webhook }
      let webhook = MembershipWebhook(
        settings, secret: secret, clock: clock, wall: wall, log: log, metrics: metrics
      ) { [web] body, signature in
        try await web.post(
          settings.url, headers: [("X-Avalo-Signature", signature)], body: body, within: settings.timeout,
          bytesMax: GatewayLimits.webhookAnswerBytesMax)
      }
      present = (secret, webhook)
      return webhook
    }
  }
}
