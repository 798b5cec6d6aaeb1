import AvaloCore
import AvaloStore
import AvaloWire

// Publish, and broadcast to as many as one transaction takes.
extension SchedulerCore {
  func publish(_ publish: Publish, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard !publish.topic.isReserved else {
      return refuse(origin, .permissionDenied, "topics of kind \(publish.topic.kind) are the engine's own", .invalid)
    }
    guard let event = admit(publish.record, owner: publish.owner, origin) else { return }
    try ensureTransaction()
    let topic = try place(ofTopic: publish.topic.name)
    let hash = hash(publish.record, owner: publish.owner)
    if hasRow(topic), let known = try log.key(topic: topics[topic].id, hash: hash), counts(known) {
      guard known.content == publish.contentHash else { return refuseConflict(publish.record, origin) }
      turn.duplicates += 1
      return answer(origin, published(topic, offset: known.offset, duplicate: true))
    }
    guard try mayPublish(publish, origin) else { return }
    _ = try row(ofTopic: publish.topic.name)  // not for who may not
    if publish.deliverAtMilliseconds > clock.deletionTime(moment) {
      return try hold(publish, event, topic: topic, hash: hash, origin)
    }
    let offset = try append(publish.record, event, to: topic, hash: hash, content: publish.contentHash)
    answer(origin, published(topic, offset: offset, duplicate: false))
  }

  /// The last word on a user's right, in the event's own transaction. Said after the search for a duplicate: an event that
  /// was kept stays kept.
  private func mayPublish(_ publish: Publish, _ origin: Origin) throws(LogError) -> Bool {
    guard let user = publish.user else { return true }
    guard !access.revocations.covers(user.token) else {
      refuseRevoked(origin)
      return false
    }
    guard user.mustBeMember else { return true }
    guard try membership(of: user.token.user, in: publish.topic.name) != nil else {
      refuse(origin, .permissionDenied, "only members may publish to \(publish.topic)", .access)
      return false
    }
    return true
  }

  func broadcast(_ broadcast: Broadcast, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard let event = admit(broadcast.record, owner: broadcast.owner, origin) else { return }
    try ensureTransaction()
    let hash = hash(broadcast.record, owner: broadcast.owner)
    if let known = try log.key(topic: 0, hash: hash), counts(known) {
      guard known.content == broadcast.contentHash else { return refuseConflict(broadcast.record, origin) }
      turn.duplicates += 1
      return answer(
        origin,
        Broadcasted(recipients: UInt32(clamping: known.offset), durability: log.durability, duplicate: true))
    }
    guard !broadcast.recipients.isEmpty else {
      return refuse(origin, .invalidArgument, "a broadcast names at least one recipient", .invalid)
    }
    // Each once, whoever counted.
    var seen = Set<String>(minimumCapacity: broadcast.recipients.count)
    let recipients = broadcast.recipients.filter { seen.insert($0).inserted }
    var record = broadcast.record
    let expires = stamp(&record, event, rule: rules.index(ofKind: "user"))
    let shared = try log.appendShared(expires: expires, record: record, count: recipients.count)
    try append(record, event, shared: shared, to: recipients)
    try log.put(
      key(hash, broadcast.contentHash, offset: UInt64(recipients.count), until: expires), topic: 0)
    answer(
      origin, Broadcasted(recipients: UInt32(recipients.count), durability: log.durability, duplicate: false))
  }

  /// Appends references to a shared record to the users' inboxes.
  func append(
    _ record: [UInt8], _ event: EventHead, shared: Int64, to users: some Sequence<String>
  ) throws(LogError) {
    let message = try message(record, event, in: "user:")
    let place = Int32(turn.records.count)
    var isWatched = false
    turn.hasWrites = true
    for user in users {
      let topic = try row(ofTopic: "user:" + user)
      let offset = topics[topic].head + 1
      try log.append(topic: topics[topic].id, offset: offset, shared: shared, message: message)
      try keepForFollowers(event.type)
      advance(topic, to: offset, bytes: record.count)
      turn.count(event.type)
      guard topics[topic].isWatched else { continue }
      isWatched = true
      turn.deliveries.append(Delivery(topic: topic, record: place, offset: offset, priority: event.priority))
    }
    if isWatched { turn.records.append(record) }
  }

  // MARK: Steps

  /// What the engine needs to know of a record.
  struct EventHead {
    var type: EventType
    var priority: Priority
    var ttlSeconds: UInt32

    init?(_ bytes: UnsafeRawBufferPointer) {
      guard let record = EventRecord(bytes) else { return nil }
      type = record.type
      priority = record.priority
      ttlSeconds = record.ttlSeconds
    }
  }

  /// Checks what the gateway should have checked: a bad row fails alone, before it joins a group.
  func admit(_ record: [UInt8], owner: String, _ origin: Origin) -> EventHead? {
    guard health == .healthy else {
      metrics.refused(.log)
      refuse(origin, SchedulerCore.unavailable)
      return nil
    }
    guard let event = record.withUnsafeBytes({ EventHead($0) }) else {
      refuse(origin, .invalidArgument, "the event's record does not parse", .invalid)
      return nil
    }
    guard event.type.retention == .durable else {
      refuse(origin, .invalidArgument, "\(event.type.wireName) is not kept in the log", .invalid)
      return nil
    }
    guard event.ttlSeconds > 0, event.ttlSeconds <= Limits.ttlSecondsMax else {
      refuse(origin, .invalidArgument, "ttl must be 1 to \(Limits.ttlSecondsMax) seconds", .invalid)
      return nil
    }
    guard owner.utf8.count <= SchedulerLimits.ownerBytesMax else {
      refuse(origin, .invalidArgument, "owner is longer than \(SchedulerLimits.ownerBytesMax) bytes", .invalid)
      return nil
    }
    return event
  }

  /// Whether a key still counts: by the clock that deletes keys, so that one that jumped ahead forgets none.
  func counts(_ key: StoredKey) -> Bool { key.until > clock.deletionTime(moment) }

  /// The event's idempotency key.
  func hash(_ record: [UInt8], owner: String) -> UInt64 {
    record.withUnsafeBytes { bytes in
      guard let event = EventRecord(bytes) else { preconditionFailure("a record that was not admitted") }
      return log.identity.hash(owner: owner, eventID: event.eventID)
    }
  }

  func append(
    _ record: [UInt8], _ event: EventHead, to topic: Int32, hash: UInt64, content: UInt64
  ) throws(LogError) -> UInt64 {
    var record = record
    let expires = stamp(&record, event, rule: topics[topic].rule)
    let message = try message(record, event, in: topics[topic].name)
    let offset = topics[topic].head + 1
    try log.append(
      topic: topics[topic].id, offset: offset, expires: expires, record: record,
      key: key(hash, content, offset: offset, until: expires), message: message)
    try keepForFollowers(event.type)
    turn.hasWrites = true
    turn.count(event.type)
    advance(topic, to: offset, bytes: record.count)
    if topics[topic].isWatched {
      let delivery = Delivery(
        topic: topic, record: Int32(turn.records.count), offset: offset, priority: event.priority)
      turn.deliveries.append(delivery)
      turn.records.append(record)
    }
    return offset
  }

  /// Writes the expiry into the record: TTL counts from now, the moment of acceptance.
  func stamp(_ record: inout [UInt8], _ event: EventHead, rule: UInt8) -> Int64 {
    let seconds = min(event.ttlSeconds, rules[rule].ageSecondsMax)
    let expires = moment.wall + Int64(seconds) * 1000
    record.withUnsafeMutableBytes { EventRecord.setExpiry(expires, in: $0) }
    return expires
  }

  func key(_ hash: UInt64, _ content: UInt64, offset: UInt64, until: Int64, after: Int64 = 0) -> StoredKey {
    StoredKey(
      hash: hash, content: content, offset: offset, accepted: moment.wall,
      until: max(until, max(moment.wall, after) + StoreLimits.keyMillisecondsMin))
  }

  private func published(_ topic: Int32, offset: UInt64, duplicate: Bool) -> Published {
    let position = offset == 0 ? .none : Position(epoch: topics[topic].epoch, offset: offset)
    return Published(position: position, durability: log.durability, duplicate: duplicate)
  }

  func refuseConflict(_ record: [UInt8], _ origin: Origin) {
    refuse(
      origin, .alreadyExists, "eventId \"\(eventID(of: record))\" was published before with other content", .conflict)
  }

  func eventID(of record: [UInt8]) -> String {
    record.withUnsafeBytes { bytes in
      EventRecord(bytes).map { String(decoding: $0.eventID, as: UTF8.self) } ?? ""
    }
  }

  private func advance(_ topic: Int32, to offset: UInt64, bytes: Int) {
    topics[topic].head = offset
    if topics[topic].bytes >= 0 { topics[topic].bytes += bytes }
    queueForTrimming(topic)
  }

  // MARK: Topics

  /// The topic's place, with what the log says of it.
  func place(ofTopic name: String) throws(LogError) -> Int32 {
    let place: Int32
    if let known = topics.place(of: name) {
      if topics[known].isLoaded { return known }
      place = known
    } else {
      let kind = name.prefix { $0 != ":" }
      place = topics.add(
        TopicState(name: name, epoch: log.identity.epoch(of: name), rule: rules.index(ofKind: kind)))
    }
    try ensureTransaction()
    let stored = try log.topic(named: name)
    topics[place].id = stored?.id ?? 0
    topics[place].head = stored?.head ?? 0
    topics[place].floor = stored?.floor ?? 0
    topics[place].isLoaded = true
    return place
  }

  /// The same, with a row in the log.
  func row(ofTopic name: String) throws(LogError) -> Int32 {
    let place = try place(ofTopic: name)
    try ensureTransaction()
    if topics[place].id == 0 {
      topics[place].id = try log.createTopic(named: name)
      turn.hasWrites = true
    }
    return place
  }
}
