/// The server's functions for users, by their names. Each may be called again without harm.
extension RealtimeClient {
  /// Says how the user is. Answers how they are now. Throws ``ClientError``.
  @discardableResult
  public func updatePresence(_ update: PresenceUpdate) async throws -> UserPresence {
    try await call("updatePresenceV1", update.data).reading(UserPresence.init)
  }

  /// How users are now, by their ids; everyone asked for is there. At most 1 000. Throws ``ClientError``.
  public func presence(of userIDs: [String]) async throws -> [String: UserPresence] {
    let data = JSONText { json in
      json.object {
        $0.key("userIds")
        $0.array { for user in userIDs { $0.string(user) } }
      }
    }
    return try await call("getPresenceV1", data).reading { view in
      view["presence"]?.members.reduce(into: [:]) { found, member in
        if let user = member.key.string { found[user] = UserPresence(member.value) }
      }
    }
  }

  /// Says that the user types, or has stopped. Call it with every key press: what need not go out does not.
  /// Throws ``ClientError``.
  public func sendTyping(in chatID: String, isTyping: Bool = true) async throws {
    // What one user told is nothing that the next one has told.
    let key = "\(userID ?? "") \(chatID)"
    guard typing.take(chat: key, isTyping: isTyping, now: clock.now) else { return }
    let data = JSONText { json in
      json.object {
        $0.member("chatId", chatID)
        $0.member("isTyping", isTyping)
      }
    }
    do {
      _ = try await call("sendTypingIndicatorV1", data)
    } catch {
      typing.failed(chat: key)
      throw error
    }
  }

  /// The user has read the chat up to that message. Throws ``ClientError``.
  @discardableResult
  public func sendReadReceipt(in chatID: String, upTo messageID: String) async throws -> ReadResult {
    try ReadResult(await call("sendReadReceiptV1", ReadResult.data(chatID, upTo: messageID)))
  }

  /// The user has read all of the chat. Throws ``ClientError``.
  @discardableResult
  public func markChatAsRead(_ chatID: String) async throws -> ReadResult {
    try ReadResult(await call("markChatAsReadV1", ReadResult.data(chatID)))
  }

  /// Publishes to a topic whose members may. When it is answered, the event is kept; tried again, by whatever way, it is
  /// kept once. Throws ``ClientError``; `refused` with `INVALID_ARGUMENT`, without asking, when the payload is too large.
  @discardableResult
  public func publish(_ event: EventDraft) async throws -> PublishResult {
    try event.check()
    return try PublishResult(await call("publishRealtimeEvent", event.data))
  }
}

/// What reading a chat changed.
public struct ReadResult: Sendable, Equatable {
  /// How many messages it newly covers.
  public var markedCount: Int
  /// When the marker moved last, in milliseconds since 1970; 0 when it never did.
  public var readAtMilliseconds: Int64

  init(_ answer: JSONText) throws(ClientError) {
    (markedCount, readAtMilliseconds) = try answer.reading { view in
      guard let count = view["markedCount"]?.integer else { return nil }
      return (Int(clamping: count), view["readAtMs"]?.integer ?? 0)
    }
  }

  /// The data of the call, with a name for it: told again by whatever way, it is answered the same count.
  static func data(_ chatID: String, upTo messageID: String? = nil) -> JSONText {
    JSONText { json in
      json.object {
        $0.member("chatId", chatID)
        if let messageID { $0.member("messageId", messageID) }
        $0.member("requestId", randomName("req_"))
      }
    }
  }
}
