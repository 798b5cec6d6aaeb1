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
    #expect(grant.granted.map(\.name) == ["user:ann", "chat:c1", "chat:c2", "presence:ann"])
    #expect(
      grant.denied.map { "\($0.topic) \($0.code.wireName)" } == [
        "user:bob PERMISSION_DENIED", "chat:c3 PERMISSION_DENIED", "feed:news PERMISSION_DENIED",
        "nonsense INVALID_ARGUMENT", "user:* INVALID_ARGUMENT",
      ])
    #expect(!rules.mayPublish(ann, to: try #require(Topic("chat:c1"))))
  }

  @Test func settingsAddKindsAndRights() throws {
    let rules = AccessRules(kinds: [
      "feed": TopicRule(subscribe: .any), "team": TopicRule(subscribe: .claim),
      "chat": TopicRule(subscribe: .claim, publish: .members), "user": TopicRule(subscribe: .none),
    ])
    func may(_ topic: String) throws -> [Bool] {
      let topic = try #require(Topic(topic))
      return [rules.maySubscribe(ann, to: topic), rules.mayPublish(ann, to: topic)]
    }
    #expect(try may("feed:anything") == [true, false])
    #expect(try may("team:c1") == [false, false])
    #expect(try may("chat:c1") == [true, true])
    #expect(try may("chat:c3") == [false, false])
    #expect(try may("user:ann") == [false, false])
    #expect(try may("other:x") == [false, false])
  }

  @Test func aClaimWithAColonNamesAWholeTopic() throws {
    let rules = AccessRules(kinds: ["feed": TopicRule(subscribe: .claim)])
    #expect(rules.maySubscribe(ann, to: try #require(Topic("feed:news"))))
    #expect(!rules.maySubscribe(ann, to: try #require(Topic("feed:c1"))))
  }
}
