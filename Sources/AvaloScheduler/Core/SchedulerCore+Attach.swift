import AvaloCore
import AvaloStore
import AvaloWire

// Sessions: whose device they are, and where it stopped.
extension SchedulerCore {
  func attach(_ attach: Attach, _ link: LinkState, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard !access.revocations.covers(attach.token) else { return refuseRevoked(origin) }
    try ensureTransaction()
    let entrance = Entrance(
      ticket: attach.ticket, session: attach.session, link: link, key: log.identity.idempotencyKey)
    guard try mayPass(entrance, origin) else { return }
    if let open = link.sessions[attach.session] { close(session: open, of: link) }
    guard let (device, isNew) = try device(attach, origin) else { return }
    let place = devices.open(attach.session, link: link.place, device: device.id, seen: device.seen)
    link.sessions[attach.session] = place
    turn.openedSessions.append((link, attach.session))
    if moment.wall - device.seen >= SchedulerLimits.seenMilliseconds || device.platform != attach.platform, !isNew {
      try seen(device, platform: attach.platform)
    }
    let stored = try cursors(ofDevice: device.id, isNew: isNew)
    guard
      let answers = try answers(
        attach.topics, of: attach.token.user, session: place, stored: stored, isNewDevice: isNew, origin)
    else { return close(session: place, of: link) }
    // Not before: a ticket is not spent on a refusal.
    guard try pass(entrance, origin) else { return close(session: place, of: link) }
    answer(origin, Attached(answers: answers))
  }

  func cursors(_ cursors: Cursors, _ link: LinkState, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    guard let session = link.sessions[cursors.session] else {
      return refuse(origin, .failedPrecondition, "session \(cursors.session) is not attached", .invalid)
    }
    try ensureTransaction()
    let device = devices.device(devices.session(session).device)
    let stored = try self.cursors(ofDevice: device.id, isNew: device.id < 0)
    guard
      let answers = try answers(
        cursors.topics, of: cursors.user, session: session, stored: stored, isNewDevice: false, origin)
    else { return }
    answer(origin, Attached(answers: answers))
  }

  /// Of two sessions of one named connection the later one stands. The other hears it, and acknowledges nothing more:
  /// what it was written last may never have arrived.
  func lease(_ lease: Lease, _ link: LinkState, _ correlation: UInt32) {
    let name = LeaseTable.Name(user: lease.user, connection: lease.connection, use: lease.use)
    let holder = LeaseTable.Holder(
      link: link.id, session: lease.session, place: lease.place, correlation: correlation,
      began: lease.beganMicroseconds)
    guard let loser = leases.take(name, holder), let itsLink = state(of: loser.link) else { return }
    if let session = itsLink.sessions[loser.session] { close(session: session, of: itsLink) }
    turn.leasesLost.append(loser)
    metrics.leasesLost.add()
  }

  /// Told whatever became of the turn's transaction: a lease is none of the log's.
  func tellLeasesLost() {
    for loser in turn.leasesLost {
      state(of: loser.link)?.out.frame(
        LeaseLost(session: loser.session, place: loser.place), correlation: loser.correlation)
    }
  }

  func detach(_ detach: Detach, _ link: LinkState) {
    for number in detach.sessions {
      leases.end(number, of: link.id)
      if let session = link.sessions[number] { close(session: session, of: link) }
    }
  }

  /// Where a session would start. Of topics that nobody holds nothing is kept for it.
  func starts(_ query: StartsQuery, _ origin: Origin) throws(LogError) {
    let device = query.device.isEmpty ? nil : try log.device(user: query.user, device: query.device)
    var stored: [StoredCursor] = []
    if let device { stored = try cursors(ofDevice: device.id, isNew: false) }
    let open = device.flatMap { devices.place(of: $0.id) }
    var positions: [Position] = []
    for topic in query.topics.prefix(WireLimits.batchEntriesMax) {
      let place = try place(ofTopic: topic.name)
      let known =
        open.flatMap { devices.cursor(ofDevice: $0, topic: place) } ?? stored.cursor(of: topics[place].id)
      let isNewInbox = known == nil && topic.name == "user:" + query.user
      positions.append(
        isNewInbox ? .none : Position(epoch: topics[place].epoch, offset: min(known ?? .max, topics[place].head)))
    }
    answer(origin, Starts(positions: positions))
  }

  // MARK: Devices

  private func device(_ attach: Attach, _ origin: Origin) throws(LogError) -> (StoredDevice, isNew: Bool)? {
    guard !attach.device.isEmpty else {
      // No device: nothing is registered, nothing makes room, and what it acknowledges goes with it.
      lastTransient -= 1
      return (StoredDevice(id: lastTransient, device: "", platform: attach.platform, seen: moment.wall), true)
    }
    if let known = try log.device(user: attach.token.user, device: attach.device) { return (known, false) }
    guard health == .healthy else {
      metrics.refused(.log)
      refuse(origin, SchedulerCore.unavailable)
      return nil
    }
    let siblings = try log.devices(of: attach.token.user)
    if siblings.count >= settings.devicesPerUserMax {
      // The one nobody has seen for longest makes room, but no open one.
      guard let oldest = siblings.first(where: { devices.place(of: $0.id) == nil }) else {
        refuse(
          origin, .resourceExhausted, "\(siblings.count) devices of this user are connected; close one of them", .limit)
        return nil
      }
      try forget(oldest.id)
    }
    let id = try log.register(
      user: attach.token.user, device: attach.device, platform: attach.platform, seen: moment.wall)
    turn.hasWrites = true
    return (StoredDevice(id: id, device: attach.device, platform: attach.platform, seen: moment.wall), true)
  }

  func forget(_ device: DeviceID) throws(LogError) {
    try log.forget(device: device)
    parted[device] = nil
    turn.hasWrites = true
  }

  /// Notes that the device was seen; once an hour that is worth a write.
  private func seen(_ device: StoredDevice, platform: Platform) throws(LogError) {
    guard health == .healthy else { return }
    try log.touch(device: device.id, platform: platform, seen: moment.wall)
    turn.hasWrites = true
    if let place = devices.place(of: device.id) { devices.withDevice(place) { $0.seen = moment.wall } }
  }

  private func cursors(ofDevice device: DeviceID, isNew: Bool) throws(LogError) -> [StoredCursor] {
    var stored = isNew ? [] : try log.cursors(of: device)
    // What its last session acknowledged may not be written yet.
    for cursor in parted[device]?.cursors ?? [] {
      if let index = stored.firstIndex(where: { $0.topic == cursor.topic }) {
        stored[index].offset = max(stored[index].offset, cursor.offset)
      } else {
        stored.append(cursor)
      }
    }
    return stored
  }

  // MARK: Cursors

  /// Where the session starts in each topic, or why it does not. What has no cursor gets one, and that is kept: what
  /// arrives while the device is away is not lost.
  private func answers(
    _ topics: [Attach.Wanted], of user: String, session: Int32, stored: [StoredCursor], isNewDevice: Bool,
    _ origin: Origin
  ) throws(LogError) -> [Attached.Answer]? {
    var answers: [Attached.Answer] = []
    answers.reserveCapacity(topics.count)
    let newInbox = isNewDevice ? "user:" + user : nil
    for wanted in topics {
      var since: UInt64 = 0
      if !wanted.isGranted {
        guard let membership = try membership(of: user, in: wanted.topic.name) else {
          answers.append(.denied(.permissionDenied))
          continue
        }
        since = membership
      }
      let topic = try place(ofTopic: wanted.topic.name)
      let isNewInbox = wanted.topic.name == newInbox
      guard
        let offset = try cursor(topic, session: session, stored: stored, isNewInbox: isNewInbox, origin)
      else { return nil }
      answers.append(.granted(Position(epoch: self.topics[topic].epoch, offset: offset), since: since))
    }
    return answers
  }

  /// Where the device stopped, even if what follows was not the user's to see: whoever writes to it says so.
  private func cursor(
    _ topic: Int32, session: Int32, stored: [StoredCursor], isNewInbox: Bool, _ origin: Origin
  ) throws(LogError) -> UInt64? {
    let head = topics[topic].head
    if let open = cursor(ofSession: session, topic: topic) { return min(open, head) }
    if let known = openCursor(besides: session, topic: topic) ?? stored.cursor(of: topics[topic].id) {
      let offset = min(known, head)
      add(topic, offset, to: session)
      return offset
    }
    return try drawCursor(topic, session: session, isNewInbox: isNewInbox, origin)
  }

  private func drawCursor(
    _ topic: Int32, session: Int32, isNewInbox: Bool, _ origin: Origin
  ) throws(LogError) -> UInt64? {
    let device = devices.device(devices.session(session).device).id
    let isKept = device >= 0
    guard health == .healthy || !isKept else {
      metrics.refused(.log)
      refuse(origin, SchedulerCore.unavailable)
      return nil
    }
    if isKept { _ = try row(ofTopic: topics[topic].name) }
    let id = topics[topic].id
    let offset = isNewInbox && id != 0 ? try tail(ofInbox: topic) : topics[topic].head
    if isKept {
      try log.put(StoredCursor(topic: id, offset: offset), device: device)
      turn.hasWrites = true
    }
    add(topic, offset, to: session)
    return offset
  }

  /// Just before the oldest event that is there, and not about to be erased. By the clock that deletes: what is there is the
  /// device's to get, even if a wrong clock hides it now.
  private func tail(ofInbox topic: Int32) throws(LogError) -> UInt64 {
    let tail = try log.tail(of: topics[topic].id, nowMilliseconds: clock.deletionTime(moment))
    let user = String(topics[topic].name.dropFirst("user:".count))
    return max(topics[topic].floor, tail, access.erasures[user]?.upTo ?? 0)
  }

  /// What the device's other open sessions say, which may be ahead of what is written.
  private func openCursor(besides session: Int32, topic: Int32) -> UInt64? {
    let place = devices.session(session).device
    guard !devices.device(place).moreSessions.isEmpty else { return nil }
    return devices.cursor(ofDevice: place, topic: topic)
  }

  private func cursor(ofSession session: Int32, topic: Int32) -> UInt64? {
    devices.withSession(session) { state in state.index(ofTopic: topic).map { state.cursors[$0].offset } }
  }

  private func add(_ topic: Int32, _ offset: UInt64, to session: Int32) {
    devices.withSession(session) {
      $0.cursors.append(SessionCursor(topic: topic, isDirty: false, offset: offset))
    }
    topics[topic].holds += 1
    turn.addedCursors.append((session, topic))
  }

  // MARK: Ending

  /// Ends a session. What it acknowledged and nobody wrote yet is kept until it is.
  func close(session place: Int32, of link: LinkState) {
    let closed = devices.close(place)
    link.sessions[closed.session.number] = nil
    for cursor in closed.session.cursors {
      topics[cursor.topic].holds -= 1
      guard closed.isLast, closed.device >= 0, cursor.isDirty, topics[cursor.topic].id != 0 else { continue }
      parted[closed.device, default: PartedDevice(cursors: [])].cursors
        .raise(StoredCursor(topic: topics[cursor.topic].id, offset: cursor.offset))
    }
    if closed.isLast {
      guard closed.device >= 0, moment.wall - closed.seen >= SchedulerLimits.seenMilliseconds else { return }
      parted[closed.device, default: PartedDevice(cursors: [])].seen = moment.wall
    } else if let device = devices.place(of: closed.device) {
      // The lowest of those that are left may be higher.
      for cursor in closed.session.cursors { markDirty(device, topic: cursor.topic) }
    }
  }

  /// The turn failed: its sessions are not attached, its cursors not drawn.
  func undoTurn() {
    for (link, number) in turn.openedSessions {
      if let session = link.sessions[number] { close(session: session, of: link) }
    }
    for (session, topic) in turn.addedCursors {
      guard devices.isOpen(session) else { continue }
      let wasThere = devices.withSession(session) { state in
        guard let index = state.index(ofTopic: topic) else { return false }
        state.cursors.remove(at: index)
        return true
      }
      if wasThere { topics[topic].holds -= 1 }
    }
  }
}

extension [StoredCursor] {
  func cursor(of topic: TopicID) -> UInt64? { topic == 0 ? nil : first { $0.topic == topic }?.offset }

  /// Puts a cursor in, or forward.
  mutating func raise(_ cursor: StoredCursor) {
    if let index = firstIndex(where: { $0.topic == cursor.topic }) {
      self[index].offset = Swift.max(self[index].offset, cursor.offset)
    } else {
      append(cursor)
    }
  }
}
