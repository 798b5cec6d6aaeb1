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
    let (reader, isMember) = try reader(mark.user, of: mark.chat, isParticipant: mark.isParticipant)
    var isIn = mark.isParticipant || isMember
    if !isIn { isIn = try reader.hasMessagesInInbox(log) }
    guard isIn else {
      return refuse(origin, .permissionDenied, "\(mark.user) is not in chat \(mark.chat)", .invalid)
    }
    let before = reader.chat == 0 ? nil : try log.marker(of: mark.user, in: reader.chat)
    let request = mark.request.isEmpty ? 0 : ChatReader.hash(mark.request, "request", log.identity.idempotencyKey)
    if let before, request != 0, before.request == request {
      // Asked again by who did not hear the answer.
      return answer(origin, MarkedRead(count: before.count, readMilliseconds: before.read))
    }
    guard
      let moved = try mark.messageID.isEmpty ? all(reader, after: before) : upTo(mark.messageID, reader, after: before)
    else {
      // Nothing is newly read: for who never read anything, all of nothing is read now.
      let read = before?.read ?? (mark.messageID.isEmpty ? moment.wall : 0)
      return answer(origin, MarkedRead(count: 0, readMilliseconds: read))
    }
    let marker = StoredMarker(
      chat: reader.chat, user: mark.user, upTo: moved.upTo, version: try log.advanceSequence(), read: moment.wall,
      messageID: moved.messageID, request: request, count: UInt32(clamping: moved.count))
    try log.put(marker)
    turn.hasWrites = true
    turn.receipts.append(try receipt(marker, of: mark.chat))
    answer(origin, MarkedRead(count: UInt32(clamping: moved.count), readMilliseconds: moment.wall))
  }

  // MARK: Messages

  /// What makes a chat's message one, in the chat's own topic or in an inbox: nowhere else is it looked for. In a chat's
  /// topic an event that names another chat is a message of neither, and makes no row for that one.
  /// - `topic`: its name; of an inbox the kind is enough.
  func message(_ record: [UInt8], _ event: EventHead, in topic: String) throws(LogError) -> ChatMessage? {
    let isInbox = topic.hasPrefix("user:")
    guard event.type == .chatMessage, isInbox || topic.hasPrefix("chat:") else { return nil }
    let key = log.identity.idempotencyKey
    let parts = record.withUnsafeBytes { bytes -> (chat: String, message: UInt64, source: UInt64)? in
      guard let record = EventRecord(bytes), Topic.isWellFormedID(record.chatID) else { return nil }
      let id = record.messageID.isEmpty ? record.eventID : record.messageID
      return (
        String(decoding: record.chatID, as: UTF8.self), ChatReader.hash(id, "message", key),
        record.sourceUserID.isEmpty ? 0 : ChatReader.hash(record.sourceUserID, "user", key)
      )
    }
    guard let parts else { return nil }
    let name = "chat:" + parts.chat
    guard isInbox || topic == name else { return nil }
    let chat = try row(ofTopic: name)
    return ChatMessage(chat: topics[chat].id, message: parts.message, source: parts.source)
  }

  // MARK: Counting

  /// - `isParticipant`: by what the gateway knows.
  private func reader(
    _ user: String, of chat: String, isParticipant: Bool
  ) throws(LogError) -> (reader: ChatReader, isMember: Bool) {
    let inbox = topics[try place(ofTopic: "user:" + user)].stored
    let own = topics[try place(ofTopic: "chat:" + chat)].stored
    var membership: UInt64?
    if let own { membership = try log.member(user, of: own.id) }
    let reader = ChatReader(
      user, chat: own, inbox: inbox, membership: membership, isParticipant: isParticipant,
      key: log.identity.idempotencyKey)
    return (reader, membership != nil)
  }

  private struct Moved {
    var count: Int
    var upTo: UInt64
    var messageID: String
  }

  /// Everything there is; `nil` when nothing of it is unread.
  private func all(_ reader: ChatReader, after before: StoredMarker?) throws(LogError) -> Moved? {
    let unread = try unread(reader, after: before?.upTo ?? 0, upTo: .max)
    guard let last = unread.last else { return nil }
    let record = try log.record(of: last.scope, at: last.message.offset)
    let id = record?.withUnsafeBytes { bytes in
      EventRecord(bytes).map { String(decoding: $0.messageID.isEmpty ? $0.eventID : $0.messageID, as: UTF8.self) }
    }
    return Moved(count: unread.count, upTo: log.lastSequence, messageID: (id ?? nil) ?? "")
  }

  /// Up to one message; `nil` when it is unknown or was read before.
  private func upTo(_ messageID: String, _ reader: ChatReader, after before: StoredMarker?) throws(LogError) -> Moved? {
    let message = ChatReader.hash(messageID, "message", log.identity.idempotencyKey)
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

  private func unread(
    _ reader: ChatReader, after: UInt64, upTo: UInt64
  ) throws(LogError) -> (count: Int, last: (scope: TopicID, message: StoredMessage)?) {
    let counter = UnreadCounter(rows: log, now: moment.wall)
    return try counter.unread(
      reader, in: counter.scopes(reader), after: after, upTo: upTo, max: SchedulerLimits.unreadMax)
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
