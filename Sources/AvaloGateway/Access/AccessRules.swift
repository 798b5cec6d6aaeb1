import AvaloCore

/// Who may do what with topics of one kind.
public struct TopicRule: Sendable, Equatable {
  public enum Subscribe: Sendable, Equatable {
    /// The user whose id is the topic's.
    case own
    /// Users whose token names the topic.
    case claim
    /// Users whose token names the chat, and its members. Of chats alone.
    case members
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
    case "chat": TopicRule(subscribe: .members)
    case "presence": TopicRule(subscribe: .any)
    default: TopicRule(subscribe: .none)
    }
  }
}

/// What a user may do with a topic, as far as their token and the rules say.
public enum TopicRight: Sendable, Equatable {
  case granted
  /// If they are a member, which the scheduler knows.
  case ifMember
  case denied
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
    /// Those of them that stand only if the user is a member.
    public var ifMember: Set<Topic> = []
    public var denied: [Denial] = []

    /// Keeps the first `count` of certain topics and denies the others; answers how many those are.
    @discardableResult
    mutating func keep(_ count: Int, orDeny code: StatusCode = .resourceExhausted, of isOne: (Topic) -> Bool) -> Int {
      let beyond = granted.filter(isOne).dropFirst(max(0, count))
      deny(beyond.map { Denial(topic: $0.name, code: code) })
      return beyond.count
    }

    /// Moves what was refused after all.
    mutating func deny(_ denials: [Denial]) {
      guard !denials.isEmpty else { return }
      let names = Set(denials.map(\.topic))
      granted.removeAll { names.contains($0.name) }
      ifMember = ifMember.filter { !names.contains($0.name) }
      denied += denials
    }
  }

  private let kinds: [String: TopicRule]

  /// `kinds` that differ from what is built in.
  public init(kinds: [String: TopicRule] = [:]) { self.kinds = kinds }

  public func subscribing(_ identity: Identity, to topic: Topic) -> TopicRight {
    subscribing(identity, to: topic) { identity.chats.contains($0) }
  }

  private func subscribing(_ identity: Identity, to topic: Topic, claims: (String) -> Bool) -> TopicRight {
    func isClaimed() -> Bool { topic.kind == "chat" && claims(String(topic.id)) || claims(topic.name) }
    return switch rule(topic.kind).subscribe {
    case .own: topic.id == identity.user ? .granted : .denied
    case .claim: isClaimed() ? .granted : .denied
    case .members: isClaimed() ? .granted : .ifMember
    case .any: .granted
    case .none: .denied
    }
  }

  /// Whether those may subscribe whom a token names, and so perhaps whom the membership webhook names.
  func isByClaim(_ topic: Topic) -> Bool {
    switch rule(topic.kind).subscribe {
    case .claim, .members: true
    case .own, .any, .none: false
    }
  }

  /// May the user publish there in their own name? Servers may by their scope alone.
  public func publishing(_ identity: Identity, to topic: Topic) -> TopicRight {
    rule(topic.kind).publish == .members ? subscribing(identity, to: topic) : .denied
  }

  /// Parts the topics a client asks for into granted and denied.
  public func grant(_ topics: [String], to identity: Identity) -> Grant {
    var grant = Grant()
    var seen = Set<String>()
    // Some thousand topics of a call times some hundred chats of a token are many comparisons.
    let chats = topics.count > 8 ? Set(identity.chats) : nil
    let claims = { (name: String) in chats?.contains(name) ?? identity.chats.contains(name) }
    for name in topics where seen.insert(name).inserted {
      // The engine's own are no topics to anybody, but for users' presence.
      guard let topic = Topic(name), !topic.isReserved || topic.isPresence else {
        grant.denied.append(Grant.Denial(topic: name, code: .invalidArgument))
        continue
      }
      switch subscribing(identity, to: topic, claims: claims) {
      case .granted: grant.granted.append(topic)
      case .ifMember:
        grant.granted.append(topic)
        grant.ifMember.insert(topic)
      case .denied: grant.denied.append(Grant.Denial(topic: name, code: .permissionDenied))
      }
    }
    return grant
  }

  /// Whether the log's members may subscribe to chats.
  var hasMembers: Bool { rule("chat").subscribe == .members }

  private func rule(_ kind: Substring) -> TopicRule {
    // Most installations have no rules of their own.
    kinds.isEmpty ? TopicRule.builtIn(kind) : kinds[String(kind)] ?? TopicRule.builtIn(kind)
  }
}
