import AvaloCore
import AvaloWire

/// Who is typing where. A pure value: told what happened and when (monotonic milliseconds), it says what to send. Owned by
/// the worker's loop; never stored.
///
/// What a user does in a chat is one ``Entry``. What they last said is `isTyping`; what gateways were last told is `shown`.
/// One goes out a second: what comes sooner waits for its turn, and only the last of it is sent.
struct TypingBoard {
  struct Entry: Equatable {
    var isTyping: Bool
    var shown = false
    /// There is something to send, as soon as it may be.
    var owes = false
    /// When typing ends unless it is said again.
    var until: Int64 = 0
    /// When something was last sent; `nil` before anything was.
    var sent: Int64?
    /// Of what was last sent.
    var sequence: UInt64 = 0
    var session: SessionKey?
    var device = ""

    /// The next one may be sent.
    func isQuiet(at now: Int64) -> Bool {
      sent.map { now - $0 >= PresenceLimits.typingIntervalMilliseconds } ?? true
    }

    /// Time has something to do here.
    func isDue(at now: Int64) -> Bool {
      isTyping && until <= now || (owes || !isTyping) && isQuiet(at: now)
    }
  }

  private(set) var entries: [String: [String: Entry]] = [:]
  private(set) var count = 0
  /// Indicators that found no place.
  private(set) var dropped = 0
  private var sequence: UInt64 = 0
  private var outgoing: [TypingChanged] = []

  /// - `first`: far from what an earlier life used.
  init(after first: UInt64) { sequence = first }

  /// A user says that they type, or that they have stopped. `session` is the one that says so, if it is one.
  mutating func set(_ typing: SetTyping, session: SessionKey?, at now: Int64) {
    guard var entry = entries[typing.user]?[typing.chat] ?? make(typing) else { return dropped += 1 }
    entry.isTyping = typing.isTyping
    entry.until = now + PresenceLimits.typingMilliseconds
    entry.session = session
    entry.device = typing.device
    // Typing on is sent again, so that nobody thinks it has ended.
    entry.owes = true
    settle(&entry, typing.user, typing.chat, at: now)
  }

  /// Gateways have ended it themselves, since they delivered a message of the user there; or one has, which delivered it to
  /// an inbox, and the others are told.
  mutating func ended(_ ended: TypingEnded, at now: Int64) {
    guard var entry = entries[ended.user]?[ended.chat], entry.sequence == ended.sequence else { return }
    let isToBeTold = ended.isForOthers && (entry.shown || entry.owes)
    entry.shown = false
    // Typing that was said since the last sending is about the next message.
    if entry.owes, entry.isTyping { return settle(&entry, ended.user, ended.chat, at: now) }
    entry.isTyping = false
    entry.owes = isToBeTold
    settle(&entry, ended.user, ended.chat, at: now)
  }

  /// A session is over: what it said is.
  mutating func closed(_ session: SessionKey, user: String, at now: Int64) {
    for (chat, var entry) in entries[user] ?? [:] where entry.session == session && entry.isTyping {
      entry.isTyping = false
      entry.owes = entry.shown
      settle(&entry, user, chat, at: now)
    }
  }

  /// Several times a second: what waited for its turn is sent, what was not said again is over.
  mutating func tick(at now: Int64) {
    let due = entries.flatMap { user, chats in
      chats.filter { $0.value.isDue(at: now) }.map { (user: user, chat: $0.key, entry: $0.value) }
    }
    for (user, chat, var entry) in due {
      if entry.isTyping, entry.until <= now {
        // Gateways and clients end it by themselves.
        entry.isTyping = false
        entry.shown = false
        entry.owes = false
      }
      settle(&entry, user, chat, at: now)
    }
  }

  /// The chats a user is typing in.
  func chats(of user: String) -> [String] {
    entries[user]?.filter(\.value.isTyping).keys.sorted() ?? []
  }

  mutating func takeOutgoing() -> [TypingChanged] {
    defer { outgoing.removeAll() }
    return outgoing
  }

  mutating func takeDropped() -> Int {
    defer { dropped = 0 }
    return dropped
  }

  // MARK: - Steps

  private mutating func make(_ typing: SetTyping) -> Entry? {
    guard count < PresenceLimits.typingMax, entries[typing.user]?.count ?? 0 < Limits.typingChatsMax else { return nil }
    count += 1
    return Entry(isTyping: false)
  }

  /// Sends what may be sent, and forgets what nothing is left of.
  private mutating func settle(_ entry: inout Entry, _ user: String, _ chat: String, at now: Int64) {
    if entry.owes, entry.isQuiet(at: now) {
      sequence += 1
      entry.owes = false
      entry.shown = entry.isTyping
      entry.sent = now
      entry.sequence = sequence
      outgoing.append(
        TypingChanged(
          user: user, chat: chat, device: entry.device, isTyping: entry.isTyping, sequence: sequence,
          expiresMilliseconds: entry.isTyping ? UInt32(clamping: entry.until - now) : 0))
    }
    // It is remembered for as long as it keeps the next one from being sent.
    if !entry.isTyping, !entry.owes, entry.isQuiet(at: now) {
      entries[user]?[chat] = nil
      if entries[user]?.isEmpty == true { entries[user] = nil }
      count -= 1
    } else {
      entries[user, default: [:]][chat] = entry
    }
  }
}
