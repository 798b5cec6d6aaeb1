import AvaloCore
import AvaloWire

// What users say of themselves, and what comes out of it for others.
extension Board {

  /// All there is to know about a user who is here.
  func state(of user: UInt32, at now: Moment) -> PresenceState {
    let row = users[user]
    let details = self.details[user] ?? UserDetails()
    let merge = merge(user, at: now)
    // Who is not seen does nothing that anybody sees: they may be here, and say that they are not.
    let active =
      merge.status == .offline
      ? min(row.lastActiveMilliseconds, row.lastSeenMilliseconds) : row.lastActiveMilliseconds
    return PresenceState(
      status: merge.status, platform: merge.platform, lastSeenMilliseconds: row.lastSeenMilliseconds,
      lastActiveMilliseconds: active, customStatus: details.customStatus,
      activity: details.activity, location: details.location, activityVisibility: details.activityVisibility,
      locationVisibility: details.locationVisibility)
  }

  private func merge(_ user: UInt32, at now: Moment) -> StatusMerge {
    var merge = StatusMerge()
    var index = users[user].firstConnection
    while index != Slab<ConnectionRow>.none {
      if !connections[index].flags.contains(.hidden) {
        merge.add(connections[index], isIdle: isIdle(connections[index], at: now))
      }
      index = connections[index].next
    }
    if let bare = details[user]?.bare { merge.add(bare) }
    return merge
  }

  /// The user's own word is that they are offline.
  func saysOffline(_ user: UInt32) -> Bool {
    var explicit: (order: UInt64, status: PresenceStatus)?
    var index = users[user].firstConnection
    while index != Slab<ConnectionRow>.none {
      let row = connections[index]
      if let status = row.explicit, row.order >= explicit?.order ?? 0 { explicit = (row.order, status) }
      index = row.next
    }
    if let bare = details[user]?.bare, bare.order >= explicit?.order ?? 0 { explicit = (bare.order, bare.status) }
    return explicit?.status == .offline
  }

  /// The owner changes their presence. The user is whole (``isWhole(_:)``). Refused when the connection named is none of
  /// theirs.
  mutating func update(_ update: SetPresence, by incarnation: UInt64, at now: Moment) -> Failed? {
    let user = obtain(update.user)
    precondition(users[user].flags.contains(.whole), "an update of a user of whom the file knows more")
    let device: TextHeap.Reference?
    switch self.device(of: user, update, incarnation) {
    case .failure(let refusal):
      releaseIfIdle(user: user)
      return refusal
    case .success(let found): device = found
    }
    users[user].lastActiveMilliseconds = now.wall
    if let device { say(update, on: device, of: user, at: now) } else { sayBare(update, user, at: now) }
    change(update, user)
    markDirty(user: user)
    touch(user)
    return nil
  }

  /// The device that an update is about, if it is about one.
  private func device(
    of user: UInt32, _ update: SetPresence, _ incarnation: UInt64
  ) -> Result<TextHeap.Reference?, Failed> {
    if update.connectionID.isEmpty {
      guard update.session != 0, let gateway = gateway(incarnation),
        let index = connection(update.session, of: gateway),
        connections[index].user == user
      else { return .success(nil) }
      return .success(connections[index].device)
    }
    var index = users[user].firstConnection
    while index != Slab<ConnectionRow>.none {
      let row = connections[index]
      if texts.equals(row.connectionID, update.connectionID.utf8) { return .success(row.device) }
      index = row.next
    }
    return .failure(Failed(.permissionDenied, "the connection \(update.connectionID) is none of this user's"))
  }

  /// On every connection of the device, so that each can say it when the others are gone.
  private mutating func say(_ update: SetPresence, on device: TextHeap.Reference, of user: UInt32, at now: Moment) {
    let name = texts[device]
    let order = versions.next()
    forEachConnection(of: user) { board, index in
      guard board.texts.equals(board.connections[index].device, name.utf8) else { return }
      switch update.status {
      case .keep: break
      case .clear: board.connections[index].explicit = nil
      case .set(let status):
        board.connections[index].explicit = status
        board.connections[index].order = order
      }
      if update.platform != .unknown { board.connections[index].platform = update.platform }
      if board.connections[index].state == .open { board.act(index, at: now) }
      board.markDirty(connection: index)
    }
    setLastSeen(user, update.status, at: now)
  }

  /// Without a device: for as long as the user has any, or else for a while.
  private mutating func sayBare(_ update: SetPresence, _ user: UInt32, at now: Moment) {
    switch update.status {
    case .keep:
      // A call is a sign of life: what was said lives on from here.
      details[user]?.bare?.until = now.monotonic + PresenceLimits.bareStatusMilliseconds
    case .clear: details[user]?.bare = nil
    case .set(let status):
      let platform = update.platform == .unknown ? details[user]?.bare?.platform ?? .unknown : update.platform
      details[user, default: UserDetails()].bare = BareStatus(
        status: status, platform: platform, order: versions.next(),
        until: now.monotonic + PresenceLimits.bareStatusMilliseconds, isBound: hasConnections(user))
      bare.append(user)
    }
    if update.platform != .unknown { details[user]?.bare?.platform = update.platform }
    setLastSeen(user, update.status, at: now)
  }

  private mutating func setLastSeen(_ user: UInt32, _ status: SetPresence.Change<PresenceStatus>, at now: Moment) {
    // Whoever goes offline by their own word was last seen now, and after that no more.
    if status == .set(.offline) || !saysOffline(user) { users[user].lastSeenMilliseconds = now.wall }
  }

  private mutating func change(_ update: SetPresence, _ user: UInt32) {
    let before = details[user]
    var new = before ?? UserDetails()
    switch update.customStatus {
    case .keep: break
    case .clear: new.customStatus = ""
    case .set(let text): new.customStatus = text
    }
    switch update.activity {
    case .keep: break
    case .clear: new.activity = ""
    case .set(let text): new.activity = text
    }
    switch update.location {
    case .keep: break
    case .clear: new.location = nil
    case .set(let location): new.location = location
    }
    if let visibility = update.activityVisibility { new.activityVisibility = visibility }
    if let visibility = update.locationVisibility { new.locationVisibility = visibility }
    new.chats = hasPartsForPartners(new) ? chats(of: update, before) : []
    if new != before ?? UserDetails() { users[user].flags.insert(.changed) }
    details[user] = new == UserDetails() ? nil : new
  }

  /// Who joined a chat is a partner from the next update on; who left it is none any more (``endPartnerships(of:in:)``).
  private func chats(of update: SetPresence, _ before: UserDetails?) -> [String] {
    guard !update.changesParts, let known = before?.chats else { return update.chats }
    return Array((known + update.chats.filter { !known.contains($0) }).prefix(Limits.presenceChatsMax))
  }

  private func hasPartsForPartners(_ details: UserDetails) -> Bool {
    !details.activity.isEmpty && details.activityVisibility == .chatPartners
      || details.location != nil && details.locationVisibility == .chatPartners
  }

  /// The user is in these chats no longer: what they show to those they share a chat with, they show to their members no
  /// more. The user is whole.
  mutating func endPartnerships(of user: UInt32, in chats: Set<String>) {
    guard var changed = details[user], changed.chats.contains(where: chats.contains) else {
      return releaseIfIdle(user: user)
    }
    changed.chats.removeAll(where: chats.contains)
    details[user] = changed
    users[user].flags.insert(.changed)
    markDirty(user: user)
    touch(user)
  }

  // MARK: - Erasing

  /// From now on nothing is known of the user, whatever the file knew. Their connections are over: gateways cut them, and
  /// what these say of them later is about nobody. Returns their row, which is to be written as empty.
  mutating func erase(_ id: String) -> UInt32 {
    let user = obtain(id)
    forEachConnection(of: user) { $0.remove($1) }
    // The file is not asked any more: what it still knows is to go.
    users[user].flags.formUnion([.whole, .changed])
    users[user].lastSeenMilliseconds = 0
    users[user].lastActiveMilliseconds = 0
    details[user] = nil
    markDirty(user: user)
    touch(user)
    return user
  }

  // MARK: - Online users

  /// Users from `after` on who are not offline, in an order that stays.
  func onlineUsers(_ query: OnlineUsersQuery, at now: Moment) -> OnlineUsers {
    var answer = OnlineUsers(entries: [], next: 0, total: UInt64(onlineCount))
    var index = UInt32(clamping: query.after)
    while index < users.end {
      defer { index += 1 }
      guard !users[index].isFree else { continue }
      let state = state(of: index, at: now)
      guard state.status != .offline, query.status == .offline || state.status == query.status else { continue }
      if answer.entries.count == Int(query.limit) {
        answer.next = UInt64(index)
        break
      }
      answer.entries.append(OnlineUsers.Entry(user: texts[users[index].id], state: state))
    }
    return answer
  }
}
