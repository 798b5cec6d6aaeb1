import AvaloCore
import Testing

@testable import AvaloGateway

@Suite struct AccessRulesTests {
  private let ann = Identity(user: "ann", expiresAtMilliseconds: 0, chats: ["c1", "feed:news", "chat:c2"])

  @Test func builtInRulesLetUsersIntoTheirInboxAndTheirChats() throws {
    let rules = AccessRules()
    let grant = rules.grant(
      [
        "user:ann", "user:bob", "chat:c1", "chat:c2", "chat:c3", "feed:news", "presence:ann", "user:ann", "nonsense",
        "user:*",
      ],
      to: ann)
    #expect(grant.granted.map(\.name) == ["user:ann", "chat:c1", "chat:c2", "chat:c3", "presence:ann"])
    // No claim names this one: whether they are a member is to be asked.
    #expect(grant.ifMember.map(\.name) == ["chat:c3"])
    #expect(
      grant.denied.map { "\($0.topic) \($0.code.wireName)" } == [
        "user:bob PERMISSION_DENIED", "feed:news PERMISSION_DENIED",
        "nonsense INVALID_ARGUMENT", "user:* INVALID_ARGUMENT",
      ])
    #expect(rules.publishing(ann, to: try #require(Topic("chat:c1"))) == .denied)
  }

  @Test func settingsAddKindsAndRights() throws {
    let rules = AccessRules(kinds: [
      "feed": TopicRule(subscribe: .any), "team": TopicRule(subscribe: .claim),
      "chat": TopicRule(subscribe: .claim, publish: .members), "user": TopicRule(subscribe: .none),
    ])
    func may(_ topic: String) throws -> [TopicRight] {
      let topic = try #require(Topic(topic))
      return [rules.subscribing(ann, to: topic), rules.publishing(ann, to: topic)]
    }
    #expect(try may("feed:anything") == [.granted, .denied])
    #expect(try may("team:c1") == [.denied, .denied])
    #expect(try may("chat:c1") == [.granted, .granted])
    #expect(try may("chat:c3") == [.denied, .denied])
    #expect(try may("user:ann") == [.denied, .denied])
    #expect(try may("other:x") == [.denied, .denied])
  }

  @Test func membersMayReadAndWhereTheRuleSaysSoPublish() throws {
    let rules = AccessRules(kinds: ["chat": TopicRule(subscribe: .members, publish: .members)])
    let claimed = try #require(Topic("chat:c1"))
    let other = try #require(Topic("chat:c3"))
    #expect(rules.subscribing(ann, to: claimed) == .granted && rules.publishing(ann, to: claimed) == .granted)
    #expect(rules.subscribing(ann, to: other) == .ifMember && rules.publishing(ann, to: other) == .ifMember)
  }

  @Test func aGrantLosesWhatIsRefusedAfterAll() {
    var grant = AccessRules().grant(["user:ann", "chat:c3", "chat:c4"], to: ann)
    grant.deny([AccessRules.Grant.Denial(topic: "chat:c3", code: .permissionDenied)])
    #expect(grant.granted.map(\.name) == ["user:ann", "chat:c4"] && grant.ifMember.map(\.name) == ["chat:c4"])
    #expect(grant.denied.map(\.topic) == ["chat:c3"])
  }

  @Test func aClaimWithAColonNamesAWholeTopic() throws {
    let rules = AccessRules(kinds: ["feed": TopicRule(subscribe: .claim)])
    #expect(rules.subscribing(ann, to: try #require(Topic("feed:news"))) == .granted)
    #expect(rules.subscribing(ann, to: try #require(Topic("feed:c1"))) == .denied)
  }

  /// The engine's own topics are none to anybody, whatever the rules say.
  @Test func theEnginesOwnTopicsAreNone() {
    let rules = AccessRules(kinds: ["sys": TopicRule(subscribe: .any)])
    let grant = rules.grant(["sys:access", "presence:bob"], to: CallFixture.ann)
    #expect(grant.granted.map(\.name) == ["presence:bob"])
    #expect(grant.denied == [.init(topic: "sys:access", code: .invalidArgument)])
  }
}
