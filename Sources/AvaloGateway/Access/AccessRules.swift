import AvaloCore

/// Who may do what with topics of one kind.
public struct TopicRule: Sendable, Equatable {
  public enum Subscribe: Sendable, Equatable {
    /// The user whose id is the topic's.
    case own
    /// Users whose token names the topic.
    case claim
    /// Every user.
    case any
    case none
  }
  public enum Publish: Sendable, Equatable {
    /// Servers, and users who may subscribe.
    case members
    /// Servers alone.
    case none
  }
  public var subscribe: Subscribe
  public var publish: Publish

  public init(subscribe: Subscribe, publish: Publish = .none) {
    self.subscribe = subscribe
    self.publish = publish
  }

  /// What holds for a kind without a setting of its own.
  public static func builtIn(_ kind: some StringProtocol) -> TopicRule {
    switch kind {
    case "user": TopicRule(subscribe: .own)
    case "chat": TopicRule(subscribe: .claim)
    case "presence": TopicRule(subscribe: .any)
    default: TopicRule(subscribe: .none)
    }
  }
}

/// May this user do that with this topic? Pure: a function of the rules and the identity.
public struct AccessRules: Sendable {
  /// What of the topics asked for was allowed, in the order asked for, each once.
  public struct Grant: Sendable, Equatable {
    public struct Denial: Sendable, Equatable {
      /// As it was asked for; perhaps no topic at all.
      public var topic: String
      public var code: StatusCode
    }
    public var granted: [Topic] = []
    public var denied: [Denial] = []

    /// Keeps the first `count` of certain topics and denies the others.
    mutating func keep(_ count: Int, orDeny code: StatusCode = .resourceExhausted, of isOne: (Topic) -> Bool) {
      var left = max(0, count)
      granted.removeAll { topic in
        guard isOne(topic) else { return false }
        left -= 1
        if left < 0 { denied.append(Denial(topic: topic.name, code: code)) }
        return left < 0
      }
    }
  }

  private let kinds: [String: TopicRule]

  /// `kinds` that differ from what is built in.
  public init(kinds: [String: TopicRule] = [:]) { self.kinds = kinds }

  public func maySubscribe(_ identity: Identity, to topic: Topic) -> Bool {
    maySubscribe(identity, to: topic) { identity.chats.contains($0) }
  }

  private func maySubscribe(_ identity: Identity, to topic: Topic, claims: (String) -> Bool) -> Bool {
    switch rule(topic.kind).subscribe {
    case .own: topic.id == identity.user
    case .claim: topic.kind == "chat" && claims(String(topic.id)) || claims(topic.name)
    case .any: true
    case .none: false
    }
  }

  /// Whether those may subscribe whom a token names, and perhaps the membership webhook.
  func isByClaim(_ topic: Topic) -> Bool { rule(topic.kind).subscribe == .claim }

  /// May the user publish there in their own name? Servers may by their scope alone.
  public func mayPublish(_ identity: Identity, to topic: Topic) -> Bool {
    rule(topic.kind).publish == .members && maySubscribe(identity, to: topic)
  }

  /// Parts the topics a client asks for into granted and denied.
  public func grant(_ topics: [String], to identity: Identity) -> Grant {
    var grant = Grant()
    var seen = Set<String>()
    // Some thousand topics of a call times some hundred chats of a token are many comparisons.
    let chats = topics.count > 8 ? Set(identity.chats) : nil
    let claims = { (name: String) in chats?.contains(name) ?? identity.chats.contains(name) }
    for name in topics where seen.insert(name).inserted {
      if let topic = Topic(name) {
        if maySubscribe(identity, to: topic, claims: claims) {
          grant.granted.append(topic)
        } else {
          grant.denied.append(Grant.Denial(topic: name, code: .permissionDenied))
        }
      } else {
        grant.denied.append(Grant.Denial(topic: name, code: .invalidArgument))
      }
    }
    return grant
  }

  private func rule(_ kind: Substring) -> TopicRule {
    // Most installations have no rules of their own.
    kinds.isEmpty ? TopicRule.builtIn(kind) : kinds[String(kind)] ?? TopicRule.builtIn(kind)
  }
}
