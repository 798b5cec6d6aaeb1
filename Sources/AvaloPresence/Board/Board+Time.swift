import AvaloCore

// What happens because time passes.
extension Board {

  /// Several times a second: lingers end, rows that nobody confirmed in time, and statuses that no device carries.
  mutating func tick(at now: Moment) {
    endWaiting(at: now)
    endBare(at: now)
    if settling?.isOver(at: now.monotonic) == true { settling = nil }
  }

  private mutating func endWaiting(at now: Moment) {
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

  private mutating func endBare(at now: Moment) {
    guard !bare.isEmpty else { return }
    var still = ContiguousArray<UInt32>()
    for user in bare {
      guard let status = details[user]?.bare, !status.isBound else { continue }
      guard status.until <= now.monotonic else {
        still.append(user)
        continue
      }
      details[user]?.bare = nil
      touch(user)
      markDirty(user: user)
    }
    bare = still
  }

  /// Removes connections that nobody has heard of for as long as that; answers how many.
  mutating func sweep(at now: Moment) -> Int {
    let oldest = now.monotonic - settings.staleMilliseconds
    let stale = connections.indices.filter { connections[$0].state == .open && connections[$0].seen < oldest }
    for index in stale { remove(index) }
    return stale.count
  }

  /// Looks for users who have done nothing for long, when that makes them away. Some seconds late does not matter.
  mutating func lookForIdle(at now: Moment) {
    guard settings.awayAfterMilliseconds > 0 else { return }
    for index in connections.indices where isIdle(connections[index], at: now) { touch(connections[index].user) }
  }

  func isIdle(_ row: ConnectionRow, at now: Moment) -> Bool {
    settings.awayAfterMilliseconds > 0 && now.monotonic - row.active >= settings.awayAfterMilliseconds
  }

  /// The user did something on this device.
  mutating func act(_ index: UInt32, at now: Moment) {
    connections[index].active = now.monotonic
    guard !connections[index].flags.contains(.hidden) else { return }
    let user = connections[index].user
    users[user].lastActiveMilliseconds = now.wall
    touch(user)
  }

  /// The user did something that is no update of theirs.
  mutating func acted(_ id: String, _ session: SessionKey?, at now: Moment) {
    guard let user = user(id) else { return }
    if let session, let gateway = gateway(session.incarnation), let index = connection(session.session, of: gateway),
      connections[index].user == user
    {
      return act(index, at: now)
    }
    users[user].lastActiveMilliseconds = now.wall
  }
}
