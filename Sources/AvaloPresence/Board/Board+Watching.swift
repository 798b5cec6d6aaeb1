import AvaloCore
import AvaloWire

/// A user's presence as watchers are to be told it.
struct PresenceChange: Equatable {
  struct Target: Equatable {
    var link: UInt16
    var handle: UInt32
  }
  var version: UInt64
  var state: PresenceState
  var chats: [String]
  var targets: [Target]
}

// Who watches whom, and what they are told: once what is, then what changes.
extension Board {

  /// A gateway wants to know of these users. It is told the present state unless it has that already.
  mutating func watch(_ entries: [WatchPresence.Entry], by link: UInt16) {
    for entry in entries {
      unwatch([entry.handle], by: link)
      let user = obtain(entry.user)
      var row = WatchRow()
      row.user = user
      row.handle = entry.handle
      row.link = link
      row.next = users[user].firstWatch
      row.owes = users[user].version == 0 || users[user].version != entry.version
      let index = watches.insert(row)
      users[user].firstWatch = index
      watchesOfLink[link, default: [:]][entry.handle] = index
      if row.owes { touch(user) }
    }
  }

  mutating func unwatch(_ handles: [UInt32], by link: UInt16) {
    for handle in handles {
      guard let index = watchesOfLink[link]?.removeValue(forKey: handle) else { continue }
      remove(watch: index)
    }
  }

  /// The link is gone, and with it all it wanted to know.
  mutating func linkGone(_ link: UInt16) {
    for index in watchesOfLink.removeValue(forKey: link)?.values.sorted() ?? [] { remove(watch: index) }
  }

  private mutating func remove(watch index: UInt32) {
    let row = watches[index]
    if users[row.user].firstWatch == index {
      users[row.user].firstWatch = row.next
    } else {
      var before = users[row.user].firstWatch
      while watches[before].next != index { before = watches[before].next }
      watches[before].next = row.next
    }
    watches.remove(index)
    releaseIfIdle(user: row.user)
  }

  /// The link has no room for a change: it is told the present state later (``catchUp(_:)``).
  mutating func owe(_ target: PresenceChange.Target) {
    if let index = watchesOfLink[target.link]?[target.handle] { watches[index].owes = true }
  }

  /// The link has room again.
  mutating func catchUp(_ link: UInt16) {
    for index in watchesOfLink[link]?.values.sorted() ?? [] where watches[index].owes { touch(watches[index].user) }
  }

  /// What is to be told now. Users of whom the file knows more wait until it was asked (``takeWanted()``); while we
  /// settle, so do those who seem offline and whose watchers know nothing yet.
  mutating func takeChanges(at now: Moment) -> [PresenceChange] {
    var changes: [PresenceChange] = []
    var held = ContiguousArray<UInt32>()
    let touched = self.touched
    self.touched.removeAll()
    for user in touched {
      users[user].flags.remove(.touched)
      switch present(user, at: now) {
      case .nothing: releaseIfIdle(user: user)
      case .held: held.append(user)
      case .change(let change): changes.append(change)
      }
    }
    for user in held { touch(user) }
    return changes
  }

  private enum Presented {
    case nothing, held
    case change(PresenceChange)
  }

  private mutating func present(_ user: UInt32, at now: Moment) -> Presented {
    let isWatched = users[user].firstWatch != Slab<WatchRow>.none
    if isWatched, !users[user].flags.contains(.whole) {
      want(user)
      // Told when it is known; see `loaded`.
      return .nothing
    }
    let hasChanged = adopt(user, at: now)
    guard isWatched else { return .nothing }
    if hasChanged || users[user].version == 0 { users[user].version = versions.next() }
    if users[user].status == .offline, !hasConnections(user), settling != nil, !hasChanged { return .held }
    let targets = takeTargets(user, all: hasChanged)
    guard !targets.isEmpty else { return .nothing }
    let state = state(of: user, at: now)
    return .change(
      PresenceChange(
        version: users[user].version, state: state, chats: details[user]?.chats ?? [], targets: targets))
  }

  /// Takes over what a user's presence is now; whether that is another than it was.
  @discardableResult
  mutating func adopt(_ user: UInt32, at now: Moment) -> Bool {
    let state = state(of: user, at: now)
    let row = users[user]
    users[user].flags.remove(.changed)
    if (row.status == .offline) != (state.status == .offline) { onlineCount += state.status == .offline ? -1 : 1 }
    users[user].status = state.status
    users[user].platform = state.platform
    return row.status != state.status || row.platform != state.platform || row.flags.contains(.changed)
  }

  /// Those who watch: all, or those who are owed.
  private mutating func takeTargets(_ user: UInt32, all: Bool) -> [PresenceChange.Target] {
    var targets: [PresenceChange.Target] = []
    var index = users[user].firstWatch
    while index != Slab<WatchRow>.none {
      if all || watches[index].owes {
        watches[index].owes = false
        targets.append(PresenceChange.Target(link: watches[index].link, handle: watches[index].handle))
      }
      index = watches[index].next
    }
    return targets
  }

  // MARK: - The file's part

  /// Everything about the user is here.
  func isWhole(_ user: UInt32) -> Bool { users[user].flags.contains(.whole) }

  /// The file must be asked about the user.
  mutating func want(_ user: UInt32) {
    guard users[user].flags.isDisjoint(with: [.whole, .loading]) else { return }
    users[user].flags.insert(.loading)
    wanted.append(user)
  }

  /// Of whom the file must be asked now, the first of them; each is answered by ``loaded(_:_:at:)`` or ``notLoaded(_:)``.
  mutating func takeWanted(max: Int = .max) -> [(index: UInt32, id: String)] {
    let taken = wanted.prefix(max).map { ($0, texts[users[$0].id]) }
    wanted.removeFirst(taken.count)
    return taken
  }

  /// What the file knows of a user, less recent than anything that is here.
  mutating func loaded(_ user: UInt32, _ stored: StoredUser, at now: Moment) {
    users[user].flags.remove(.loading)
    guard !users[user].flags.contains(.whole) else { return }
    users[user].flags.insert(.whole)
    users[user].lastSeenMilliseconds = max(users[user].lastSeenMilliseconds, stored.seenMilliseconds)
    users[user].lastActiveMilliseconds = max(users[user].lastActiveMilliseconds, stored.activeMilliseconds)
    var details = stored.details
    if let until = stored.bareUntilMilliseconds, var status = details.bare {
      status.until = now.monotonic(of: until, within: 0...PresenceLimits.bareStatusMilliseconds)
      // What lived on devices went with them, even if this could not be written any more.
      details.bare = status.isBound && !hasConnections(user) ? nil : status
      if hasConnections(user) { details.bare?.isBound = true }
      if details.bare == nil { markDirty(user: user) } else { bare.append(user) }
    }
    if details != UserDetails() { self.details[user] = details }
    touch(user)
  }

  /// The file could not be read: it may be asked again.
  mutating func notLoaded(_ user: UInt32) {
    users[user].flags.remove(.loading)
    touch(user)
  }
}
