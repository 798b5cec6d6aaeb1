/// Which of many "is typing" are worth a call: the first, one now and then while it goes on, and the end. A pure value;
/// times are in milliseconds.
struct TypingThrottle {
  private struct Told {
    /// When it was tried to tell last.
    var at: Int64
    /// Whether the others believe that the user types.
    var isTyping: Bool
    var hasFailed = false
  }

  /// By chat.
  private var told = RecentKeys<Told>(max: ClientLimits.typingChatsMax)

  /// Whether this one is to be told. Ask with every key press.
  mutating func take(chat: String, isTyping: Bool, now: Int64) -> Bool {
    let isWorthIt =
      if let last = told[chat] {
        isTyping
          ? (!last.isTyping && !last.hasFailed) || now - last.at >= ClientLimits.typingEvery : last.isTyping
      } else {
        isTyping
      }
    if isWorthIt { told.set(chat, Told(at: now, isTyping: isTyping)) }
    return isWorthIt
  }

  /// It could not be told: it is tried again no sooner than it would have been told again, and there is no end to tell.
  mutating func failed(chat: String) {
    guard var last = told[chat] else { return }
    last.isTyping = false
    last.hasFailed = true
    told.set(chat, last)
  }
}
