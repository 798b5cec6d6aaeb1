import AvaloCore

/// One event, as it is handed to the application.
public struct RealtimeEvent: Sendable, Equatable {
  /// Where it was published: `user:ann`, `chat:c1`.
  public var topic: String
  /// Its place in its topic; keyed state, presence and typing have none.
  public var offset: UInt64?
  /// Of keyed state: the higher one counts.
  public var version: Int64?
  /// It lay in the log when its topic was subscribed to.
  public var isReplay = false
  /// It is urgent and overtook a running replay.
  public var isAhead = false
  /// What is, rather than what has changed just now.
  public var isSnapshot = false
  /// What was published.
  public var content: ReceivedEvent
  /// The whole frame that brought it.
  public var frame: JSONText

  /// The publisher's name for it: unique among what this publisher says in this topic, and no further.
  public var eventID: String { content.eventID }
  /// The wire name; a type of a later server is passed on as it is.
  public var type: String { content.type }
  /// `nil` for a type of a later server.
  public var knownType: EventType? { EventType(wireName: content.type) }
  /// Who caused it, if that was said.
  public var sourceUserID: String? { content.sourceUserID }
  /// A JSON object, byte for byte as it was published. Decode it with `JSONDecoder().decode(T.self, from: Data(payload.bytes))`,
  /// or read it where it lies with ``JSONText/read(_:)``.
  public var payload: JSONText { content.payload }
  /// The chat it belongs to, as the server counts it: as said beside its payload, say when that is encrypted, or in it; in a
  /// chat's topic that chat, and `nil` when another one is named. Looked up each time.
  public var chatID: String? {
    let own = topic.hasPrefix("chat:") ? String(topic.dropFirst(5)) : nil
    guard let named = id("chatId"), named != own else { return own }
    return own == nil ? named : nil
  }
  /// The message that it is, as said beside its payload or in it.
  public var messageID: String? { id("messageId") }
  private func id(_ key: StaticString) -> String? {
    frame.read { $0["event"]?[key]?.string } ?? payload.read { $0[key]?.string }
  }
  /// Milliseconds since 1970.
  public var timestampMilliseconds: Int64 { content.timestampMilliseconds }
  /// What went first when there was a backlog.
  public var priority: Priority { content.priority }
}

/// Something that ``RealtimeClient`` tells, in the order in which it happened.
public enum RealtimeUpdate: Sendable, Equatable {
  /// Something was published.
  case event(RealtimeEvent)
  /// The connection is another way now.
  case state(ConnectionState)
  /// A connection is there, its subscriptions are in place.
  case ready(ServerFrame.Ready)
  /// The next attempt follows after so many milliseconds; `TransportEnding` says what happened.
  case lost(TransportEnding, retryAfterMilliseconds: Int)
  /// The server said that these will not come.
  case gap(ServerFrame.Gap)
  /// These were passed over without a word: the server broke its promise.
  case hole(topic: String, ClosedRange<UInt64>)
  /// The topic was resumed where it had been left, and nothing was missed; so many events came meanwhile.
  case recovered(topic: String, events: Int)
  /// All that lay in the topic's log has come.
  case live(topic: String, Position)
  /// A topic was asked for and is not allowed.
  case denied(ServerFrame.Denied)
  /// The subscription has ended: the user has no right to the topic any more.
  case unsubscribed(topic: String, CallError)
  /// Something went wrong that no call answers for: the server complains, a token could not be had.
  case complaint(ClientError)
}
