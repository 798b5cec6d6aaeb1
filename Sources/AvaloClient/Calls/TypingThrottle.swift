/// Which of many "is typing" are worth a call: the first, one now and then while it goes on, and the end. A pure value;
/// times are in milliseconds.
struct TypingThrottle {
  /// When it was told last, by chat; `nil` after an end.
  private var told = RecentKeys<Int64?>(max: ClientLimits.typingChatsMax)

  /// Whether this one is to be told. Ask with every key press.
  mutating func take(chat: String, isTyping: Bool, now: Int64) -> Bool {
    let last = told[chat] ?? nil
    let isWorthIt = isTyping ? last.map { now - $0 >= ClientLimits.typingEvery } ?? true : last != nil
    if isWorthIt { told.set(chat, isTyping ? now : nil) }
    return isWorthIt
  }

  /// It could not be told.
  mutating func failed(chat: String) { told.set(chat, nil) }
}
