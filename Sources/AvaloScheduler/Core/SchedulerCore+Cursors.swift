import AvaloCore
import AvaloStore
import AvaloWire

// Where a session starts in a topic. A device's cursor there is kept from its first subscription on, so that what arrives
// while it is away is not lost; the topic itself is kept from its first event on. A device has a bounded number of cursors.
extension SchedulerCore {
  /// What the log has of the device's cursors, and what its last session acknowledged and nobody wrote yet.
  func cursors(of device: StoredDevice) throws(LogError) -> DeviceCursors {
    try cursors(of: device.id, seen: device.seen)
  }

  /// - `seen`: when the device was, which stands for cursors of which nobody knows when they were used.
  func cursors(of device: DeviceID, seen: Int64) throws(LogError) -> DeviceCursors {
    var stored = DeviceCursors(
      try log.cursors(of: device).map {
        $0.used > 0 ? $0 : StoredCursor(topic: $0.topic, offset: $0.offset, used: seen)
      })
    for cursor in parted[device]?.cursors ?? [] { stored.raise(cursor) }
    return stored
  }

  /// Where the session starts in each topic, or why it does not. `nil` when the request was refused whole.
  func answers(
    _ wanted: [Attach.Wanted], of user: String, session: Int32, stored: inout DeviceCursors, isNewDevice: Bool,
    _ origin: Origin
  ) throws(LogError) -> [Attached.Answer]? {
    var answers: [Attached.Answer] = []
    answers.reserveCapacity(wanted.count)
    let newInbox = isNewDevice ? "user:" + user : nil
    var spares: [TopicID]?
    for one in wanted {
      var since: UInt64 = 0
      if !one.isGranted {
        guard let membership = try membership(of: user, in: one.topic.name) else {
          answers.append(.denied(.permissionDenied))
          continue
        }
        since = membership
      }
      let topic = try place(ofTopic: one.topic.name)
      if let known = knownCursor(topic, session: session, stored: stored) {
        answers.append(.granted(Position(epoch: topics[topic].epoch, offset: known), since: since))
        continue
      }
      let isKept = devices.device(devices.session(session).device).id >= 0
      guard health == .healthy || !isKept else {
        metrics.refused(.log)
        refuse(origin, SchedulerCore.unavailable)
        return nil
      }
      if isKept, stored.count >= settings.cursorsPerDeviceMax, one.topic.name != "user:" + user {
        if spares == nil { spares = try spareCursors(stored, of: user, session: session, for: wanted) }
        guard let oldest = spares?.popLast() else {
          metrics.refused(.limit)
          answers.append(.denied(.resourceExhausted))
          continue
        }
        try forget(oldest, of: devices.device(devices.session(session).device).id, in: &stored)
        metrics.cursorsForgotten(.bound)
      }
      let isNewInbox = one.topic.name == newInbox
      let offset = try drawCursor(topic, session: session, isKept: isKept, isNewInbox: isNewInbox, &stored)
      answers.append(.granted(Position(epoch: topics[topic].epoch, offset: offset), since: since))
    }
    return answers
  }

  /// Where the device stopped, even if what follows was not the user's to see: whoever writes to it says so.
  private func knownCursor(_ topic: Int32, session: Int32, stored: DeviceCursors) -> UInt64? {
    let head = topics[topic].head
    if let open = cursor(ofSession: session, topic: topic) { return min(open, head) }
    let row = stored.row(of: names(of: topic))
    guard let known = openCursor(besides: session, topic: topic) ?? row?.offset else { return nil }
    let offset = min(known, head)
    // What was not used for long is written back with what moved.
    let isDirty = row.map { moment.wall - $0.used >= settings.cursorUsedMilliseconds } ?? false
    add(topic, offset, isDirty: isDirty, isAwaited: row.map { $0.topic < 0 } ?? false, to: session)
    return offset
  }

  /// A new cursor, at the present; a new device's in its inbox before the oldest event. Kept before it is told.
  private func drawCursor(
    _ topic: Int32, session: Int32, isKept: Bool, isNewInbox: Bool, _ stored: inout DeviceCursors
  ) throws(LogError) -> UInt64 {
    let offset = isNewInbox && topics[topic].id != 0 ? try tail(ofInbox: topic) : topics[topic].head
    if isKept {
      let cursor = StoredCursor(topic: number(of: topic), offset: offset, used: moment.wall, began: offset)
      try log.put(cursor, device: devices.device(devices.session(session).device).id)
      stored.raise(cursor)
      turn.hasWrites = true
    }
    add(topic, offset, isDirty: false, isAwaited: !hasRow(topic), to: session)
    return offset
  }

  /// Just before the oldest event that is there, and not about to be erased. By the clock that deletes: what is there is the
  /// device's to get, even if a wrong clock hides it now.
  func tail(ofInbox topic: Int32) throws(LogError) -> UInt64 {
    let tail = try log.tail(of: topics[topic].id, nowMilliseconds: clock.deletionTime(moment))
    let user = String(topics[topic].name.dropFirst("user:".count))
    return max(topics[topic].floor, tail, access.erasures[user]?.upTo ?? 0)
  }

  // MARK: How many

  /// Forgets the cursors of a device that comes in which it has not used for as long as an unseen device is remembered, and does not
  /// ask for now.
  func forgetUnused(_ stored: inout DeviceCursors, of device: StoredDevice, _ attach: Attach) throws(LogError) {
    let now = clock.deletionTime(moment)
    let unused = stored.rows.filter { now - $0.used >= settings.deviceUnseenMilliseconds }
    guard !unused.isEmpty, health == .healthy else { return }
    let spared = try spared(of: device.id, attach.token.user, for: attach.topics.map(\.topic))
    for cursor in unused where !spared.contains(cursor.topic) {
      try forget(cursor.topic, of: device.id, in: &stored)
      metrics.cursorsForgotten(.unused)
    }
  }

  /// Cursors that may make room, the one that the device has not used for longest last: none that is asked for now. Made
  /// once a request.
  private func spareCursors(
    _ stored: DeviceCursors, of user: String, session: Int32, for wanted: [Attach.Wanted]
  ) throws(LogError) -> [TopicID] {
    let spared = try spared(of: devices.device(devices.session(session).device).id, user, for: wanted.map(\.topic))
    return stored.newestFirst.filter { !spared.contains($0) }
  }

  func forget(_ topic: TopicID, of device: DeviceID, in stored: inout DeviceCursors) throws(LogError) {
    try log.forget(cursor: topic, device: device)
    stored.remove(topic)
    parted[device]?.remove(topic)
    turn.hasWrites = true
  }

  /// Never forgotten: what is open or asked for now, and the user's inbox, which holds what the device was promised. Under
  /// both names: it may have been kept before its topic had a row.
  func spared(
    of device: DeviceID, _ user: String, for wanted: [Topic]
  ) throws(LogError) -> Set<TopicID> {
    let inbox = names(of: try place(ofTopic: "user:" + user))
    var spared: Set = [inbox.topic, inbox.awaited]
    for one in wanted {
      let names = names(of: try place(ofTopic: one.name))
      spared.formUnion([names.topic, names.awaited])
    }
    guard let place = devices.place(of: device) else { return spared }
    for session in devices.device(place).sessions {
      for cursor in devices.session(session).cursors {
        let names = names(of: cursor.topic)
        spared.formUnion([names.topic, names.awaited])
      }
    }
    return spared
  }

  // MARK: Under which number

  func hasRow(_ topic: Int32) -> Bool { topics[topic].isLoaded && topics[topic].id != 0 }

  func names(of topic: Int32) -> DeviceCursors.Names {
    DeviceCursors.Names(
      topic: hasRow(topic) ? topics[topic].id : 0, awaited: log.identity.awaited(topics[topic].name))
  }

  /// The number under which a cursor in the topic is written now.
  func number(of topic: Int32) -> TopicID {
    hasRow(topic) ? topics[topic].id : log.identity.awaited(topics[topic].name)
  }

  // MARK: Of sessions

  /// What the device's other open sessions say, which may be ahead of what is written.
  private func openCursor(besides session: Int32, topic: Int32) -> UInt64? {
    let place = devices.session(session).device
    guard !devices.device(place).moreSessions.isEmpty else { return nil }
    return devices.cursor(ofDevice: place, topic: topic)
  }

  private func cursor(ofSession session: Int32, topic: Int32) -> UInt64? {
    devices.withSession(session) { state in state.index(ofTopic: topic).map { state.cursors[$0].offset } }
  }

  private func add(_ topic: Int32, _ offset: UInt64, isDirty: Bool, isAwaited: Bool, to session: Int32) {
    devices.withSession(session) {
      $0.cursors.append(SessionCursor(topic: topic, isDirty: isDirty, isAwaited: isAwaited, offset: offset))
    }
    if isDirty { queue(devices.session(session).device) }
    topics[topic].holds += 1
    turn.addedCursors.append((session, topic))
  }
}
