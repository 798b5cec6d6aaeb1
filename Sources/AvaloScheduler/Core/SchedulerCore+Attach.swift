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
    let place = devices.open(attach.session, link: link.place, device: device.id, seen: device.seen, at: moment.wall)
    link.sessions[attach.session] = place
    turn.openedSessions.append((link, attach.session))
    let seenEvery = device.polled.isEmpty ? SchedulerLimits.seenMilliseconds : SchedulerLimits.polledSeenMilliseconds
    if moment.wall - device.seen >= seenEvery || device.platform != attach.platform, !isNew {
      try seen(device, platform: attach.platform)
    }
    var stored = isNew ? DeviceCursors() : try cursors(of: device)
    try forgetUnused(&stored, of: device, attach)
    guard
      let answers = try answers(
        attach.topics, of: attach.token.user, session: place, stored: &stored, isNewDevice: isNew, origin)
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
    var stored = device.id < 0 ? DeviceCursors() : try self.cursors(of: device.id, seen: device.seen)
    guard
      let answers = try answers(
        cursors.topics, of: cursors.user, session: session, stored: &stored, isNewDevice: false, origin)
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

  /// The session subscribes there no more: its cursor is as one whose session has ended.
  func leave(_ leave: Leave, _ link: LinkState) {
    guard let session = link.sessions[leave.session] else { return }
    let device = devices.session(session).device
    for name in leave.topics {
      guard let topic = topics.place(of: name.name) else { continue }
      let left = devices.withSession(session) { state -> SessionCursor? in
        guard let index = state.index(ofTopic: topic) else { return nil }
        defer { state.cursors.remove(at: index) }
        return state.cursors[index]
      }
      guard let left else { continue }
      topics[topic].holds -= 1
      if devices.cursor(ofDevice: device, topic: topic) == nil {
        part(left, of: devices.device(device).id, after: devices.session(session).quietSince)
      } else {
        markDirty(device, topic: topic)
      }
    }
  }

  // MARK: Devices

  private func device(_ attach: Attach, _ origin: Origin) throws(LogError) -> (StoredDevice, isNew: Bool)? {
    guard !attach.device.isEmpty else {
      // No device: nothing is registered, nothing makes room, and what it acknowledges goes with it.
      lastTransient -= 1
      return (StoredDevice(id: lastTransient, device: "", platform: attach.platform, seen: moment.wall), true)
    }
    if let known = try log.device(user: attach.token.user, device: attach.device) { return (known, false) }
    let registered = try register(
      attach.device, of: attach.token.user, platform: attach.platform, isPassing: attach.isPassing, origin)
    return registered.map { ($0, isNew: true) }
  }

  /// Registers a device that is none yet; `nil` when that was refused. Those that a connection names, which may be pages
  /// somebody once looked at, and those with a name of their own have room apart, and take none from each other.
  /// - `kept`: another one that makes no room for it.
  func register(
    _ device: String, of user: String, platform: Platform, isPassing: Bool, besides kept: String = "",
    _ origin: Origin
  ) throws(LogError) -> StoredDevice? {
    guard isWritable(origin) else { return nil }
    let siblings = try log.devices(of: user).filter { $0.isPassing == isPassing }
    if siblings.count >= settings.devicesPerUserMax {
      // The one nobody has seen for longest makes room, but no open one.
      guard let oldest = siblings.first(where: { devices.place(of: $0.id) == nil && $0.device != kept }) else {
        refuse(
          origin, .resourceExhausted,
          "this user has \(siblings.count) \(isPassing ? "connections that poll" : "devices") open: close one of them",
          .limit)
        return nil
      }
      try forget(oldest.id)
    }
    let id = try log.register(
      user: user, device: device, platform: platform, seen: moment.wall, isPassing: isPassing)
    turn.hasWrites = true
    return StoredDevice(id: id, device: device, platform: platform, seen: moment.wall, isPassing: isPassing)
  }

  func forget(_ device: DeviceID) throws(LogError) {
    try log.forget(device: device)
    parted[device] = nil
    turn.hasWrites = true
  }

  /// Notes that the device was seen; once an hour that is worth a write.
  func seen(_ device: StoredDevice, platform: Platform) throws(LogError) {
    guard health == .healthy else { return }
    try log.touch(device: device.id, platform: platform, seen: moment.wall)
    turn.hasWrites = true
    if let place = devices.place(of: device.id) { devices.withDevice(place) { $0.seen = moment.wall } }
  }

  // MARK: Ending

  /// Ends a session. What it acknowledged and nobody wrote yet is kept until it is.
  func close(session place: Int32, of link: LinkState) {
    let closed = devices.close(place)
    link.sessions[closed.session.number] = nil
    let device = closed.isLast ? nil : devices.place(of: closed.device)
    for cursor in closed.session.cursors {
      topics[cursor.topic].holds -= 1
      if let device, devices.cursor(ofDevice: device, topic: cursor.topic) != nil {
        // The lowest of those that are left may be higher.
        markDirty(device, topic: cursor.topic)
      } else {
        part(cursor, of: closed.device, after: closed.session.quietSince)
      }
    }
    guard closed.isLast, closed.device >= 0, moment.wall - closed.seen >= SchedulerLimits.seenMilliseconds else {
      return
    }
    parted[closed.device, default: PartedDevice()].seen = moment.wall
  }

  /// No session of the device has the cursor any more. What was acknowledged and nobody wrote yet is kept until it is; so is
  /// that it was in use until now, where nobody noted it for long.
  private func part(_ cursor: SessionCursor, of device: DeviceID, after quietSince: Int64) {
    guard device >= 0, cursor.isDirty || moment.wall - quietSince >= settings.cursorUsedMilliseconds else { return }
    // An offset proves the number, also while the log cannot be asked.
    let number = cursor.offset > 0 && topics[cursor.topic].id != 0 ? topics[cursor.topic].id : number(of: cursor.topic)
    parted[device, default: PartedDevice()].add(
      StoredCursor(topic: number, offset: cursor.offset, used: moment.wall),
      renamed: cursor.isAwaited && hasRow(cursor.topic) ? log.identity.awaited(topics[cursor.topic].name) : nil)
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
