import AvaloCore
import AvaloSystem
import Testing

@testable import AvaloWebhook

@Suite struct WebhookSettingsTests {
  private func read(_ json: String) throws -> (WebhookSettings, [String]) {
    let (settings, problems) = SettingsReader.read(try SettingsNode(json: Array(json.utf8)), folder: "/etc/avalo") {
      WebhookSettings(&$0)
    }
    return (settings, problems.map(\.description))
  }
  private let needed = #""url": "https://api.example.com/events", "secret_file": "keys/webhook.secret""#

  @Test func needsToBeToldWhereToAndWhatToSignWith() throws {
    let problems = try read("{}").1
    #expect(problems.count == 2 && problems[0].hasPrefix("url: is missing") && problems[1].hasPrefix("secret_file"))
    let (settings, none) = try read("{\(needed)}")
    #expect(none.isEmpty && settings.secretFile == "/etc/avalo/keys/webhook.secret")
    #expect(settings.types == EventTypes([.chatMessage, .notification, .matchCreated, .likeReceived]))
    #expect(settings.kinds == ["user"] && settings.deadLetterTopic?.name == "webhook:dead")
  }

  @Test(arguments: [
    (#""types": ["typing_indicator", "notification"]"#, "types[0]: expected a durable type"),
    (#""types": []"#, "types: names no type"),
    (#""topics": ["User:"]"#, "topics[0]: expected a kind of topics"),
    (#""only_offline": true, "topics": ["chat"]"#, "only_offline: concerns users' inboxes only"),
    (#""backoff_min": "10m""#, "backoff_max: is below backoff_min"),
    (#""give_up_after": "0s""#, "give_up_after: expected a duration"),
    (#""dead_letter_topic": "sys:dead""#, "dead_letter_topic: expected a topic"),
    (#""concurrency": 257"#, "concurrency: expected an integer of 1 to 256"),
    (#""attempt": 3"#, "attempt: unknown key; did you mean \"attempts\"?"),
  ]) func saysWhatIsWrong(setting: String, problem: String) throws {
    let problems = try read("{\(needed), \(setting)}").1
    #expect(problems.count == 1 && problems[0].hasPrefix(problem), "\(problems)")
  }

  @Test func theDeadLetterTopicMayBeNone() throws {
    let (settings, problems) = try read(#"{\#(needed), "dead_letter_topic": "", "topics": []}"#)
    #expect(problems.isEmpty && settings.deadLetterTopic == nil && settings.kinds.isEmpty)
  }
}
