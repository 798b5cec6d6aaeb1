import AvaloCore
import AvaloSystem
import AvaloWeb

/// The worker's settings.
///
///     url: https://api.example.com/avalo/events   # no default
///     secret_file: keys/webhook.secret            # no default; whsec_… a line, readable by nobody else
///     types: [chat_message, notification, match_created, like_received]
///     topics: [user]                    # kinds of topics; empty: all
///     only_offline: false               # of inboxes: only while the user has no live connection
///     timeout: 10s
///     concurrency: 32                   # posts under way
///     attempts: 12
///     give_up_after: 6h                 # of one event that always finds the endpoint away
///     backoff_min: 1s
///     backoff_max: 5m
///     dead_letter_topic: webhook:dead   # empty: what failed is dropped
public struct WebhookSettings: Sendable, Equatable {
  var url: String
  var secretFile: String
  var types: EventTypes
  /// Kinds of topics; empty for all.
  var kinds: [String]
  var onlyOffline: Bool
  var timeout: Duration
  var concurrency: Int
  var attempts: Int
  /// Since the first post of an event.
  var giveUpAfter: Duration
  var backoff: Backoff
  var deadLetterTopic: Topic?

  public init(_ reader: inout SettingsReader) {
    url = reader.url("url")
    secretFile = reader.path("secret_file")
    types = EventTypes(
      reader.list(
        "types", "a durable type, such as \"chat_message\"",
        default: [.chatMessage, .notification, .matchCreated, .likeReceived]
      ) { node -> EventType? in
        guard case .string(let name) = node.value, let type = EventType(wireName: name) else { return nil }
        return type.retention == .durable ? type : nil
      })
    kinds = reader.list("topics", "a kind of topics, such as \"user\"", default: ["user"]) { node -> String? in
      guard case .string(let kind) = node.value, Topic(kind + ":x") != nil else { return nil }
      return kind
    }
    onlyOffline = reader.boolean("only_offline", default: false)
    timeout = reader.duration("timeout", in: .milliseconds(100)...(.seconds(60)), default: .seconds(10))
    concurrency = reader.integer("concurrency", in: 1...WebhookLimits.concurrencyMax, default: 32)
    attempts = reader.integer("attempts", in: 1...100, default: 12)
    giveUpAfter = reader.duration(
      "give_up_after", in: .seconds(1)...(.seconds(30 * 86_400)), default: .seconds(6 * 3600))
    let least = reader.duration("backoff_min", in: .milliseconds(10)...(.seconds(3600)), default: .seconds(1))
    let most = reader.duration("backoff_max", in: .milliseconds(10)...(.seconds(86_400)), default: .seconds(300))
    backoff = Backoff(least: least.milliseconds, most: most.milliseconds)
    deadLetterTopic = reader.value(
      "dead_letter_topic", "a topic such as \"webhook:dead\", or \"\"", Topic("webhook:dead"), empty: nil
    ) { node -> Topic?? in
      guard case .string(let name) = node.value else { return nil }
      if name.isEmpty { return .some(nil) }
      guard let topic = Topic(name), !topic.isReserved else { return nil }
      return .some(topic)
    }
    if types.isEmpty { reader.problem("types", "names no type: nothing would ever be posted") }
    if most < least { reader.problem("backoff_max", "is below backoff_min") }
    if onlyOffline, kinds != ["user"] {
      reader.problem("only_offline", "concerns users' inboxes only: it takes topics: [user]")
    }
  }
}
