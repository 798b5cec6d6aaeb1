import AvaloCore
import AvaloReactor
import AvaloSystem
import AvaloWire

// Who is typing: told to those who are live in the chat, never to the device that types, and forgotten at the first sign of
// pressure. It ends by the presence worker's word, by the user's message, or by itself.
extension Hub {

  /// Kept whether or not anybody here is in the chat: the message that ends it may come to an inbox of this loop's.
  func changed(_ change: TypingChanged) {
    let key = TypingTable.Key(chat: change.chat, user: change.user)
    if change.isTyping {
      let ends = calls.monotonic.now + .milliseconds(Int64(change.expiresMilliseconds))
      typing.set(key, TypingTable.Entry(device: change.device, sequence: change.sequence, ends: ends))
    } else if typing.remove(key) == nil {
      return  // it has ended here before
    }
    guard let topic = Topic.chat(change.chat).flatMap({ find($0) }) else { return }
    show(key, change.device, change.sequence, expiresMilliseconds: change.expiresMilliseconds, to: topic)
  }

  /// A message of a user was delivered, in the chat itself or in somebody's inbox: they are not typing it any more.
  func endTyping(with message: EventRecord, in topic: WatchedTopic) {
    let isInChat = topic.topic.kind == "chat"
    let (user, chat) = (message.sourceUserID, message.chatID)
    guard !user.isEmpty, isInChat || !chat.isEmpty else { return }
    let key = TypingTable.Key(
      chat: isInChat ? String(topic.topic.id) : String(decoding: chat, as: UTF8.self),
      user: String(decoding: user, as: UTF8.self))
    guard let entry = typing.remove(key) else { return }
    settle(topic)  // this first: the message comes before
    if let shown = isInChat ? topic : Topic.chat(key.chat).flatMap({ find($0) }) {
      show(key, entry.device, entry.sequence, expiresMilliseconds: 0, to: shown)
    }
    // Whoever is in the chat gets what lies in the chat; of an inbox others know nothing.
    toPresence.frame(
      TypingEnded(user: key.user, chat: key.chat, sequence: entry.sequence, isForOthers: !isInChat))
  }

  /// Once a second; clients, who were told when it ends, are more exact.
  func endTypingInTime() {
    guard !typing.isEmpty else { return }
    for (key, entry) in typing.takeEnded(at: calls.monotonic.now) {
      guard let topic = Topic.chat(key.chat).flatMap({ find($0) }) else { continue }
      show(key, entry.device, entry.sequence, expiresMilliseconds: 0, to: topic)
    }
  }

  /// Not while it is unknown who is in the chat: nothing is lost by it.
  private func show(
    _ key: TypingTable.Key, _ device: String, _ sequence: UInt64, expiresMilliseconds: UInt32, to topic: WatchedTopic
  ) {
    guard !topic.live.isEmpty, accessIsCurrent else { return }
    // This first: what was delivered in this turn before comes before.
    settle(topic)
    var frames = FrameRun(writer: writer)
    text.clear()
    text.typing(key, sequence, expiresMilliseconds: expiresMilliseconds, nowMilliseconds: clock.milliseconds)
    text.bytes.withUnsafeBytes { frames.append($0) }
    for place in 0..<Int(topic.live.count) {
      let connection = subscriptions[topic.live[place]].connection
      guard isAdmitted(topic.live[place]), let session = session(of: connection), !isOwn(session, key.user, device)
      else { continue }
      guard writer.backlog(connection) <= policy.limits.backlogBytesMax / 4 else {
        metrics.typingDropped.add(1)
        continue
      }
      writer.queue(connection, frames.bytes)
      metrics.delivered(.typingIndicator, .live).add(1)
    }
  }

  /// Without a device's name it may be any of the user's.
  private func isOwn(_ session: Session, _ user: String, _ device: String) -> Bool {
    session.user == user && (device.isEmpty || session.device == device)
  }
}

extension JSONWriter {
  /// `{"event":{…},"topic":"chat:c"}`
  fileprivate mutating func typing(
    _ key: TypingTable.Key, _ sequence: UInt64, expiresMilliseconds: UInt32, nowMilliseconds: Int64
  ) {
    object {
      $0.key(ServerFrameKind.event.key)
      $0.object {
        $0.member("eventId", "typ_\(String(sequence, radix: 16))\(expiresMilliseconds == 0 ? "_end" : "")")
        $0.member("type", EventType.typingIndicator.wireName)
        $0.member("sourceUserId", key.user)
        $0.key("payload")
        $0.object {
          $0.member("chatId", key.chat)
          $0.member("userId", key.user)
          $0.member("isTyping", expiresMilliseconds > 0)
          $0.member("expiresInMs", expiresMilliseconds)
        }
        $0.member("timestamp", nowMilliseconds)
        $0.member("ttl", EventType.typingIndicator.defaultTTLSeconds)
      }
      $0.member("topic", "chat:" + key.chat)
    }
  }
}
