import AvaloCore
import AvaloStore
import AvaloWire

/// Answers what a user has not read and who has read what, from what a reader of the log sees. Made for one question.
///
/// What one answer may cost is bounded, whoever asks and however long they were away: counts stop at
/// ``SchedulerLimits/unreadToldMax``, and messages that lie in two places, which have to be compared one by one, are
/// looked at only so many times. What is over that is left out: it is not known, and not nothing.
struct ReadStateBook {
  private let counter: UnreadCounter
  private let key: SipHash.Key
  private var state = ReadState(unread: [], receipts: [])
  private var comparable = SchedulerLimits.unreadComparedMax
  private var rows: any ReadRows { counter.rows }

  /// - `key`: of the log, which never changes.
  init(_ rows: any ReadRows, key: SipHash.Key, nowMilliseconds: Int64) {
    counter = UnreadCounter(rows: rows, now: nowMilliseconds)
    self.key = key
  }

  mutating func answer(_ query: QueryReads) throws(LogError) -> ReadState {
    let inbox = try rows.topic(named: "user:" + query.user)
    var asked = Set<TopicID>()
    for name in query.chats.prefix(SchedulerLimits.readChatsMax) {
      let chat = try rows.topic(named: "chat:" + name)
      let reader = try reader(query.user, chat, inbox, isParticipant: true)
      asked.insert(reader.chat)
      if let count = try unread(reader) { state.unread.append(.init(chat: name, count: count)) }
      if let chat { try addReceipts(of: chat.id, name) }
    }
    guard let inbox else { return state }
    for id in try rows.chats(in: inbox.id, limit: SchedulerLimits.inboxChatsMax) where !asked.contains(id) {
      guard let name = try rows.name(of: id) else { continue }
      let reader = try reader(query.user, try rows.topic(named: name), inbox, isParticipant: false)
      guard let count = try unread(reader), count > 0 else { continue }
      state.unread.append(.init(chat: String(name.dropFirst("chat:".utf8.count)), count: count))
    }
    return state
  }

  private func reader(
    _ user: String, _ chat: StoredTopic?, _ inbox: StoredTopic?, isParticipant: Bool
  ) throws(LogError) -> ChatReader {
    var membership: UInt64?
    if let chat { membership = try rows.member(user, of: chat.id) }
    return ChatReader(
      user, chat: chat, inbox: inbox, membership: membership, isParticipant: isParticipant, key: key)
  }

  /// `nil` when too much would have to be compared.
  private mutating func unread(_ reader: ChatReader) throws(LogError) -> UInt32? {
    let scopes = try counter.scopes(reader)
    guard let first = scopes.first else { return 0 }
    let max = SchedulerLimits.unreadToldMax
    let after = try rows.marker(of: reader.user, in: reader.chat)?.upTo ?? 0
    guard scopes.count > 1 else {
      return UInt32(try counter.count(reader, in: first, after: after, max: max))
    }
    guard comparable > 0 else { return nil }
    comparable -= max * scopes.count
    return UInt32(min(max, try counter.unread(reader, in: scopes, after: after, upTo: .max, max: max).count))
  }

  private mutating func addReceipts(of chat: TopicID, _ name: String) throws(LogError) {
    let room = min(SchedulerLimits.receiptsOfChatMax, SchedulerLimits.receiptsMax - state.receipts.count)
    guard room > 0 else { return }
    for marker in try rows.markers(of: chat, since: counter.now - SchedulerLimits.receiptMilliseconds, limit: room) {
      state.receipts.append(
        .init(
          chat: name, user: marker.user, messageID: marker.messageID, readMilliseconds: marker.read,
          version: marker.version))
    }
  }
}
