import AvaloCore
import AvaloStore
import AvaloWire

// Read state: which messages of a chat a user has not read, and who has read what (delivery.md, rule 13). A message counts
// once, by its id, over the chat's own topic and the user's inbox; the user's own do not count.
extension SchedulerCore {
  /// A user has read a chat, up to a message or all of it. Marker, count and receipt are one transaction.
  func markRead(_ mark: MarkRead, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard health == .healthy else {
      metrics.refused(.log)
      return refuse(origin, SchedulerCore.unavailable)
    }
    try ensureTransaction()
    let reader = try reader(mark.user, of: mark.chat, isParticipant: mark.isParticipant)
    var isIn = mark.isParticipant || reader.isMember
    if !isIn { isIn = try reader.hasMessagesInInbox(log) }
    guard isIn else {
      return refuse(origin, .permissionDenied, "\(mark.user) is not in chat \(mark.chat)", .invalid)
    }
    let before = reader.chat == 0 ? nil : try log.marker(of: mark.user, in: reader.chat)
    guard
      let moved = try mark.messageID.isEmpty ? all(reader, after: before) : upTo(mark.messageID, reader, after: before)
    else {
      // Nothing is newly read: for who never read anything, all of nothing is read now.
      let read = before?.read ?? (mark.messageID.isEmpty ? moment.wall : 0)
      return answer(origin, MarkedRead(count: 0, readMilliseconds: read))
    }
    let marker = StoredMarker(
      chat: reader.chat, user: mark.user, upTo: moved.upTo, version: try log.advanceSequence(), read: moment.wall,
      messageID: moved.messageID)
    try log.put(marker)
    turn.hasWrites = true
    turn.receipts.append(try receipt(marker, of: mark.chat))
    answer(origin, MarkedRead(count: UInt32(clamping: moved.count), readMilliseconds: moment.wall))
  }

  /// What a user has not read, and the newest receipts of chats they are in.
  func queryReads(_ query: QueryReads, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    try ensureTransaction()
    var state = ReadState(unread: [], receipts: [])
    var asked = Set<TopicID>()
    for chat in query.chats.prefix(SchedulerLimits.readChatsMax) {
      let reader = try reader(query.user, of: chat, isParticipant: true)
      asked.insert(reader.chat)
      state.unread.append(.init(chat: chat, count: try unreadCount(reader)))
      try addReceipts(of: reader.chat, chat, to: &state.receipts)
    }
    let inbox = topics[try place(ofTopic: "user:" + query.user)].id
    if inbox != 0 {
      for id in try log.chats(in: inbox, limit: SchedulerLimits.inboxChatsMax) where !asked.contains(id) {
        guard let name = try log.name(of: id) else { continue }
        let chat = String(name.dropFirst("chat:".utf8.count))
        let count = try unreadCount(try reader(query.user, of: chat, isParticipant: false))
        if count > 0 { state.unread.append(.init(chat: chat, count: count)) }
      }
    }
    answer(origin, state)
  }

  // MARK: Messages

  /// What makes a chat's message one, in whichever topic it is appended.
  func message(_ record: [UInt8], _ event: EventHead) throws(LogError) -> ChatMessage? {
    guard event.type == .chatMessage else { return nil }
    let key = log.identity.idempotencyKey
    let parts = record.withUnsafeBytes { bytes -> (chat: String, message: UInt64, source: UInt64)? in
      guard let record = EventRecord(bytes), Topic.isWellFormedID(record.chatID) else { return nil }
      let id = record.messageID.isEmpty ? record.eventID : record.messageID
      return (
        String(decoding: record.chatID, as: UTF8.self), Reader.hash(id, "message", key),
        record.sourceUserID.isEmpty ? 0 : Reader.hash(record.sourceUserID, "user", key)
      )
    }
    guard let parts else { return nil }
    let chat = try row(ofTopic: "chat:" + parts.chat)
    return ChatMessage(chat: topics[chat].id, message: parts.message, source: parts.source)
  }

  // MARK: Counting

  /// A user and the places where messages of a chat are theirs.
  struct Reader {
    let user: String
    struct Scope {
      var topic: TopicID
      /// Offsets up to it are gone.
      var floor: UInt64
    }
    /// The chat's topic; 0 as long as it has no message.
    var chat: TopicID
    /// The inbox, and the chat's own topic.
    var scopes: [Scope]
    /// The user as the source of their own messages.
    var source: UInt64
    /// By the log.
    var isMember: Bool

    func hasMessagesInInbox(_ log: any EventLog) throws(LogError) -> Bool {
      guard chat != 0, let inbox = scopes.first, inbox.topic != chat else { return false }
      return try !log.messages(of: chat, in: inbox.topic, after: 0, upTo: .max, limit: 1).isEmpty
    }

    static func hash(_ bytes: UnsafeRawBufferPointer, _ purpose: String, _ key: SipHash.Key) -> UInt64 {
      var hash = SipHash(key: key)
      hash.combine(purpose)
      hash.combine(bytes)
      return max(1, hash.finalize())
    }
    static func hash(_ text: String, _ purpose: String, _ key: SipHash.Key) -> UInt64 {
      var text = text
      return text.withUTF8 { hash(UnsafeRawBufferPointer($0), purpose, key) }
    }
  }

  /// - `isParticipant`: by what the gateway knows. Who is neither that nor a member has what is in their inbox, and nothing
  ///   of the chat's own topic.
  private func reader(_ user: String, of chat: String, isParticipant: Bool) throws(LogError) -> Reader {
    var scopes: [Reader.Scope] = []
    let inbox = topics[try place(ofTopic: "user:" + user)]
    if inbox.id != 0 { scopes.append(.init(topic: inbox.id, floor: inbox.floor)) }
    let own = topics[try place(ofTopic: "chat:" + chat)]
    let membership = own.id == 0 ? nil : try log.member(user, of: own.id)
    if own.id != 0, isParticipant || membership != nil {
      // A member's begin with the first offset of the membership.
      let since = membership ?? 1
      scopes.append(.init(topic: own.id, floor: max(own.floor, since == 0 ? 0 : since - 1)))
    }
    return Reader(
      user: user, chat: own.id, scopes: scopes, source: Reader.hash(user, "user", log.identity.idempotencyKey),
      isMember: membership != nil)
  }

  private struct Moved {
    var count: Int
    var upTo: UInt64
    var messageID: String
  }

  /// Everything there is; `nil` when nothing of it is unread.
  private func all(_ reader: Reader, after before: StoredMarker?) throws(LogError) -> Moved? {
    let unread = try unread(reader, after: before?.upTo ?? 0, upTo: .max)
    guard let last = unread.last else { return nil }
    let record = try log.record(of: last.scope, at: last.message.offset)
    let id = record?.withUnsafeBytes { bytes in
      EventRecord(bytes).map { String(decoding: $0.messageID.isEmpty ? $0.eventID : $0.messageID, as: UTF8.self) }
    }
    return Moved(count: unread.count, upTo: log.lastSequence, messageID: (id ?? nil) ?? "")
  }

  /// Up to one message; `nil` when it is unknown or was read before.
  private func upTo(_ messageID: String, _ reader: Reader, after before: StoredMarker?) throws(LogError) -> Moved? {
    let message = Reader.hash(messageID, "message", log.identity.idempotencyKey)
    var first: UInt64?
    for scope in reader.scopes {
      guard let found = try log.message(message, of: reader.chat, in: scope.topic), found.offset > scope.floor else {
        continue
      }
      first = min(first ?? .max, found.sequence)
    }
    let after = before?.upTo ?? 0
    guard let first, first > after else { return nil }
    return Moved(count: try unread(reader, after: after, upTo: first).count, upTo: first, messageID: messageID)
  }

  private func unreadCount(_ reader: Reader) throws(LogError) -> UInt32 {
    guard reader.chat != 0 else { return 0 }
    let marker = try log.marker(of: reader.user, in: reader.chat)
    return UInt32(clamping: try unread(reader, after: marker?.upTo ?? 0, upTo: .max).count)
  }

  /// The user's unread messages of that part of the sequence, each once, and the last of them.
  private func unread(
    _ reader: Reader, after: UInt64, upTo: UInt64
  ) throws(LogError) -> (count: Int, last: (scope: TopicID, message: StoredMessage)?) {
    guard reader.chat != 0 else { return (0, nil) }
    var seen = Set<UInt64>()
    var last: (scope: TopicID, message: StoredMessage)?
    for scope in reader.scopes {
      let messages = try log.messages(
        of: reader.chat, in: scope.topic, after: after, upTo: upTo, limit: SchedulerLimits.unreadMax)
      for message in messages where message.source != reader.source && message.offset > scope.floor {
        guard message.expires > moment.wall, !seen.contains(message.message) else { continue }
        // A copy elsewhere that was read counts for both.
        guard try !wasRead(message.message, reader, besides: scope.topic, by: after) else { continue }
        seen.insert(message.message)
        if message.sequence > last?.message.sequence ?? 0 { last = (scope.topic, message) }
      }
    }
    return (seen.count, last)
  }

  private func wasRead(
    _ message: UInt64, _ reader: Reader, besides scope: TopicID, by after: UInt64
  ) throws(LogError) -> Bool {
    guard after > 0 else { return false }
    for other in reader.scopes where other.topic != scope {
      if let copy = try log.message(message, of: reader.chat, in: other.topic), copy.sequence <= after { return true }
    }
    return false
  }

  // MARK: Receipts

  /// A receipt on its way to everybody in the chat, once it is committed.
  struct Receipt {
    /// Whose receipt of which chat: of two the later counts.
    var key: String
    /// Names of topics whose watchers are told.
    var topics: Set<String>
    var version: UInt64
    var record: [UInt8]
  }

  private func receipt(_ marker: StoredMarker, of chat: String) throws(LogError) -> Receipt {
    var record = ReadState.Receipt(
      chat: chat, user: marker.user, messageID: marker.messageID, readMilliseconds: marker.read,
      version: marker.version
    ).record()
    record.withUnsafeMutableBytes { EventRecord.setExpiry(marker.read + SchedulerLimits.receiptMilliseconds, in: $0) }
    // The chat, the reader's own other devices, and the inboxes of a small chat's members.
    var names = ["chat:" + chat, "user:" + marker.user]
    if try log.memberCount(of: marker.chat) <= SchedulerLimits.receiptInboxesMax {
      names += try log.members(of: marker.chat, after: "", limit: SchedulerLimits.receiptInboxesMax).map {
        "user:" + $0.user
      }
    }
    return Receipt(
      key: "\(marker.chat) \(marker.user)", topics: Set(names), version: marker.version, record: record)
  }

  private func addReceipts(
    of chat: TopicID, _ name: String, to receipts: inout [ReadState.Receipt]
  ) throws(LogError) {
    let room = min(SchedulerLimits.receiptsOfChatMax, SchedulerLimits.receiptsMax - receipts.count)
    guard chat != 0, room > 0 else { return }
    let since = moment.wall - SchedulerLimits.receiptMilliseconds
    for marker in try log.markers(of: chat, since: since, limit: room) {
      receipts.append(
        .init(
          chat: name, user: marker.user, messageID: marker.messageID, readMilliseconds: marker.read,
          version: marker.version))
    }
  }

  /// Sends the turn's receipts to every link that watches a topic they concern, in one frame each. A link that is full
  /// gets the latest of each user and chat when it has drained.
  func deliverReceipts() {
    for case let link? in links where !link.isStuck && !link.missedReceipts.isEmpty {
      for receipt in link.takeMissedReceipts() { send(receipt, to: link) }
    }
    for receipt in turn.receipts {
      var places = Set<Int32>()
      for name in receipt.topics {
        guard let topic = topics.place(of: name) else { continue }
        topics[topic].forEachWatcher { places.insert($0.link) }
      }
      for place in places {
        guard let link = links[Int(place)] else { continue }
        if link.isStuck { link.miss(receipt) } else { send(receipt, to: link) }
      }
    }
  }

  /// A loop of a gateway that has a new link: the receipts that it was not told meanwhile, by whatever they were missed.
  func tellMissed(_ link: LinkState, _ correlation: UInt32, above version: UInt64) throws(LogError) {
    guard links[Int(link.place)] === link else { return }
    try ensureTransaction()
    let since = moment.wall - SchedulerLimits.receiptMilliseconds
    // A loop that was told nothing yet has missed nothing.
    let missed = version == 0 ? [] : try log.markers(above: version, limit: SchedulerLimits.receiptsMissedMax)
    for marker in missed where marker.read >= since {
      guard let chat = try log.name(of: marker.chat).flatMap(Topic.init), chat.kind == "chat" else { continue }
      send(try receipt(marker, of: String(chat.id)), to: link, loop: correlation >> 24)
    }
    link.out.frame(LatestAt(version: log.lastSequence), correlation: correlation)
  }

  /// - `loop`: of the gateway, when it is for one alone.
  private func send(_ receipt: Receipt, to link: LinkState, loop: UInt32? = nil) {
    var handles: [UInt32] = []
    for name in receipt.topics {
      guard let topic = topics.place(of: name) else { continue }
      topics[topic].forEachWatcher { if $0.link == link.place { handles.append($0.handle) } }
    }
    if let loop { handles.removeAll { $0 >> 24 != loop } }
    guard !handles.isEmpty else { return }
    Latest.write(
      version: receipt.version, record: receipt.record, targets: handles.prefix(WireLimits.batchEntriesMax),
      into: &link.out)
  }
}
