import AvaloCore
import AvaloStore
import AvaloWire

// What connections poll that subscribed with a request of its own: it is kept with the device that such a connection is, and
// so are its places from then on, so that what comes before its first poll is not lost.
extension SchedulerCore {
  /// Where a client that subscribes would start. Of topics that nobody holds nothing is kept for it, unless it names its
  /// connection.
  func starts(_ query: StartsQuery, _ origin: Origin) throws(LogError) {
    if !query.connection.isEmpty, access.revocations.covers(query.token) { return refuseRevoked(origin) }
    let topics = query.topics.prefix(WireLimits.batchEntriesMax)
    let places = try Places(query.device.isEmpty ? nil : log.device(user: query.token.user, device: query.device), self)
    var positions: [Position] = []
    for wanted in topics {
      let place = try place(ofTopic: wanted.topic.name)
      let known = places.known(place, self)
      let isNewInbox = known == nil && wanted.topic.name == "user:" + query.token.user
      positions.append(
        isNewInbox
          ? .none : Position(epoch: self.topics[place].epoch, offset: min(known ?? .max, self.topics[place].head)))
    }
    if !query.connection.isEmpty {
      guard try keep(query, topics, at: positions, origin) else { return }
    }
    answer(origin, Starts(positions: positions))
  }

  func polled(_ query: PolledQuery, _ origin: Origin) throws(LogError) {
    let device = try log.device(user: query.user, device: query.connection)
    answer(origin, Polled(topics: topics(polledBy: device)))
  }

  /// Its places in them are kept, as those of any device are that unsubscribes.
  func stopPolling(_ stop: StopPolling, _ origin: Origin) throws(LogError) {
    if access.revocations.covers(stop.token) { return refuseRevoked(origin) }
    let device = try log.device(user: stop.token.user, device: stop.connection)
    let before = topics(polledBy: device)
    let gone = Set(stop.topics)
    let left = before.filter { !gone.contains($0) }
    if let device, left != before {
      guard isWritable(origin) else { return }
      try note(left.map(\.name), polledBy: device, stop.token.user)
    }
    answer(origin, Polled(topics: left))
  }

  private func topics(polledBy device: StoredDevice?) -> [Topic] {
    device?.polled.split(separator: ",").compactMap { Topic(String($0)) } ?? []
  }

  private func note(_ names: [String], polledBy device: StoredDevice, _ user: String) throws(LogError) {
    try log.note(polled: SchedulerCore.polled(names, by: user), device: device.id)
    turn.hasWrites = true
  }

  /// How ``StoredDevice/polled`` says it. Nothing but the inbox needs no keeping: a poll that does not say is of that.
  private static func polled(_ names: [String], by user: String) -> String {
    names == ["user:" + user] ? "" : names.joined(separator: ",")
  }

  // MARK: Keeping

  /// Where a device stands, whether it is open or not.
  private struct Places {
    var stored = DeviceCursors()
    private let open: Int32?

    init(_ device: StoredDevice?, _ core: SchedulerCore) throws(LogError) {
      open = device.flatMap { core.devices.place(of: $0.id) }
      if let device { stored = try core.cursors(of: device) }
    }

    func known(_ topic: Int32, _ core: SchedulerCore) -> UInt64? {
      open.flatMap { core.devices.cursor(ofDevice: $0, topic: topic) } ?? stored.cursor(of: core.names(of: topic))
    }
  }

  /// Keeps what the connection's polls are of, and where they begin. Whether it was kept; otherwise it was refused.
  private func keep(
    _ query: StartsQuery, _ wanted: ArraySlice<StartsQuery.Wanted>, at positions: [Position], _ origin: Origin
  ) throws(LogError) -> Bool {
    let names = wanted.map(\.topic.name)
    let polled = SchedulerCore.polled(names, by: query.token.user)
    // Before anything is written.
    guard names.count <= settings.cursorsPerDeviceMax else {
      refuse(origin, .resourceExhausted, "a device goes on in \(settings.cursorsPerDeviceMax) topics", .limit)
      return false
    }
    guard polled.utf8.count <= SchedulerLimits.polledBytesMax else {
      refuse(
        origin, .resourceExhausted, "the topics' names are longer than \(SchedulerLimits.polledBytesMax) bytes", .limit)
      return false
    }
    var known = try log.device(user: query.token.user, device: query.connection)
    if known == nil {
      if polled.isEmpty { return true }
      // Not in place of the one whose places it just read.
      known = try register(
        query.connection, of: query.token.user, platform: .unknown, isPassing: true, besides: query.device, origin)
    }
    guard let device = known else { return false }
    if moment.wall - device.seen >= SchedulerLimits.polledSeenMilliseconds {
      try seen(device, platform: device.platform)
    }
    guard try draw(wanted, at: positions, of: device, query.token.user, origin) else { return false }
    guard device.polled != polled else { return true }
    guard isWritable(origin) else { return false }
    try note(names, polledBy: device, query.token.user)
    return true
  }

  /// Cursors where the device has none yet: at the position that its client presents, or where that would start.
  private func draw(
    _ wanted: ArraySlice<StartsQuery.Wanted>, at positions: [Position], of device: StoredDevice, _ user: String,
    _ origin: Origin
  ) throws(LogError) -> Bool {
    var places = try Places(device, self)
    var spares: [TopicID]?
    for (one, start) in zip(wanted, positions) {
      let topic = try place(ofTopic: one.topic.name)
      guard places.known(topic, self) == nil else { continue }
      guard isWritable(origin) else { return false }
      if places.stored.count >= settings.cursorsPerDeviceMax, one.topic.name != "user:" + user {
        if spares == nil {
          let spared = try spared(of: device.id, user, for: wanted.map(\.topic))
          spares = places.stored.newestFirst.filter { !spared.contains($0) }
        }
        guard let oldest = spares?.popLast() else {
          refuse(origin, .resourceExhausted, "a device goes on in \(settings.cursorsPerDeviceMax) topics", .limit)
          return false
        }
        try forget(oldest, of: device.id, in: &places.stored)
        metrics.cursorsForgotten(.bound)
      }
      let offset = try begin(one, at: start, in: topic)
      let cursor = StoredCursor(topic: number(of: topic), offset: offset, used: moment.wall, began: offset)
      try log.put(cursor, device: device.id)
      places.stored.raise(cursor)
      turn.hasWrites = true
    }
    return true
  }

  private func begin(_ one: StartsQuery.Wanted, at start: Position, in topic: Int32) throws(LogError) -> UInt64 {
    if one.presented != .none, one.presented.epoch == topics[topic].epoch {
      return min(one.presented.offset, topics[topic].head)
    }
    guard start == .none else { return start.offset }
    return topics[topic].id == 0 ? 0 : try tail(ofInbox: topic)
  }
}
