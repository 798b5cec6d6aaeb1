import AvaloCore
import AvaloWire

// What gateways say of their sessions, and what follows when they say nothing.
extension Board {

  /// Rows that an earlier life of this worker left: shown as they were until their gateway has spoken, or had time to.
  mutating func load(_ rows: [StoredConnection], at now: Moment) {
    let lingerMax = max(settings.lingerCleanMilliseconds, settings.lingerDropMilliseconds)
    for stored in rows {
      let user = obtain(stored.user)
      var row = ConnectionRow()
      row.session = stored.key.session
      row.gateway = place(of: stored.key.incarnation)
      guard connection(row.session, of: row.gateway) == nil else { continue }
      row.user = user
      row.connectedMilliseconds = stored.connectedMilliseconds
      row.platform = stored.platform
      row.seen = now.monotonic(of: stored.seenMilliseconds, within: -PresenceLimits.ageMillisecondsMax...0)
      row.flags = .inFile
      if let lingers = stored.lingersMilliseconds {
        row.state = .lingering
        row.until = now.monotonic(of: lingers, within: 0...lingerMax)
      } else {
        row.state = .unconfirmed
        row.until = now.monotonic + settings.silenceMilliseconds
      }
      waiting.append(insert(row, device: stored.device, connectionID: stored.connectionID))
      users[user].lastSeenMilliseconds = max(users[user].lastSeenMilliseconds, stored.seenMilliseconds)
    }
  }

  /// A gateway linked: it will name all its sessions. Those it had on an earlier link are in doubt until it has.
  mutating func linkOpened(_ incarnation: UInt64, _ link: ObjectIdentifier, at now: Moment) {
    let gateway = place(of: incarnation)
    gateways[Int(gateway)].link = link
    doubt(gateway, at: now)
  }

  mutating func opened(_ entries: [Sessions.Entry], by incarnation: UInt64, at now: Moment) {
    let gateway = place(of: incarnation)
    for entry in entries {
      if let known = connection(entry.session, of: gateway) {
        confirm(known, at: now)
      } else {
        open(entry, gateway, at: now)
      }
    }
  }

  /// The gateway named every session it has: what it did not name has ended while nobody told us.
  mutating func snapshotEnded(_ incarnation: UInt64, at now: Moment) {
    guard let gateway = gateway(incarnation) else { return }
    for index in rows(of: gateway) where connections[index].state == .unconfirmed {
      linger(index, for: settings.lingerDropMilliseconds, at: now)
    }
  }

  mutating func closed(_ entries: [SessionsClosed.Entry], by incarnation: UInt64, at now: Moment) {
    guard let gateway = gateway(incarnation) else { return }
    for entry in entries {
      guard let index = connection(entry.session, of: gateway), connections[index].state != .lingering else { continue }
      users[connections[index].user].lastSeenMilliseconds = now.wall
      linger(
        index, for: entry.clean ? settings.lingerCleanMilliseconds : settings.lingerDropMilliseconds, at: now)
    }
  }

  /// Sessions whose client was heard of.
  mutating func seen(_ sessions: [UInt64], by incarnation: UInt64, at now: Moment) {
    guard let gateway = gateway(incarnation) else { return }
    for session in sessions {
      guard let index = connection(session, of: gateway), connections[index].state != .lingering else { continue }
      confirm(index, at: now)
      users[connections[index].user].lastSeenMilliseconds = now.wall
      markDirty(connection: index)
    }
  }

  /// A gateway's link ended: its sessions get the time that a restart of either side takes.
  mutating func linkClosed(_ incarnation: UInt64, _ link: ObjectIdentifier, at now: Moment) {
    guard let gateway = gateway(incarnation), gateways[Int(gateway)].link == link else { return }
    gateways[Int(gateway)].link = nil
    doubt(gateway, at: now)
  }

  // MARK: - Time

  /// Several times a second: lingers end, and so do rows that nobody confirmed in time.
  mutating func tick(at now: Moment) {
    guard !waiting.isEmpty else { return }
    var still = ContiguousArray<UInt32>()
    for index in waiting {
      switch connections[index].state {
      case .free, .open: continue
      case .unconfirmed, .lingering:
        if connections[index].until <= now.monotonic { remove(index) } else { still.append(index) }
      }
    }
    waiting = still
  }

  /// Removes connections that nobody has heard of for as long as that; answers how many.
  mutating func sweep(at now: Moment) -> Int {
    let oldest = now.monotonic - settings.staleMilliseconds
    let stale = connections.indices.filter { connections[$0].state == .open && connections[$0].seen < oldest }
    for index in stale { remove(index) }
    return stale.count
  }

  // MARK: - Steps

  private mutating func open(_ entry: Sessions.Entry, _ gateway: UInt16, at now: Moment) {
    var row = ConnectionRow()
    row.session = entry.session
    row.gateway = gateway
    row.user = obtain(entry.user)
    row.connectedMilliseconds = entry.connectedMilliseconds
    row.platform = entry.platform
    row.seen = now.monotonic
    row.state = .open
    replaceLingering(of: row.user, device: entry.device)
    let index = insert(row, device: entry.device, connectionID: entry.connectionID)
    users[row.user].lastSeenMilliseconds = now.wall
    markDirty(connection: index)
  }

  /// A device that is back does not linger any more.
  private mutating func replaceLingering(of user: UInt32, device: String) {
    var index = users[user].firstConnection
    while index != Slab<ConnectionRow>.none {
      let row = connections[index]
      // The user stays: the new connection takes this one's place at once.
      if row.state == .lingering, texts.equals(row.device, device.utf8) { remove(index) }
      index = row.next
    }
  }

  private mutating func confirm(_ index: UInt32, at now: Moment) {
    if connections[index].state == .lingering { markDirty(connection: index) }
    connections[index].state = .open
    connections[index].seen = now.monotonic
  }

  private mutating func linger(_ index: UInt32, for milliseconds: Int64, at now: Moment) {
    guard milliseconds > 0 else { return remove(index) }
    connections[index].state = .lingering
    connections[index].until = now.monotonic + milliseconds
    waiting.append(index)
    markDirty(connection: index)
  }

  private mutating func doubt(_ gateway: UInt16, at now: Moment) {
    for index in rows(of: gateway) where connections[index].state == .open {
      connections[index].state = .unconfirmed
      connections[index].until = now.monotonic + settings.silenceMilliseconds
      waiting.append(index)
    }
  }

  private func rows(of gateway: UInt16) -> [UInt32] {
    gateways[Int(gateway)].connections == 0 ? [] : connections.indices.filter { connections[$0].gateway == gateway }
  }
}
