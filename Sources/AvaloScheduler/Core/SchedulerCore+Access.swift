import AvaloCore
import AvaloStore
import AvaloWire

// Access as a log (delivery.md, rule 11): members, revocations, and gateways that have each change in force before
// whoever asked for it is answered.
extension SchedulerCore {
  func access(_ request: AccessRequest, _ link: LinkState, _ origin: Origin) throws(LogError) {
    expectAnswer(origin)
    try ensureTransaction()
    switch request {
    case .listMembers(let list): try listMembers(list, origin)
    case .memberships(let query): try memberships(query, origin)
    case .membershipsOf(let query): try memberships(of: query, origin)
    case .starts(let query): try starts(query, origin)
    case .polled(let query): try polled(query, origin)
    case .stopPolling(let stop): try stopPolling(stop, origin)
    case .changeMembers(let change):
      guard isWritable(origin) else { return }
      try changeMembers(change, link, origin)
    case .revoke(let revoke):
      guard isWritable(origin) else { return }
      try self.revoke(revoke.revocation, link, origin)
    case .erase(let erase):
      guard isWritable(origin) else { return }
      try self.erase(erase, link, origin)
    }
  }

  func isWritable(_ origin: Origin) -> Bool {
    if health == .healthy { return true }
    metrics.refused(.log)
    refuse(origin, SchedulerCore.unavailable)
    return false
  }

  // MARK: - Members

  private func changeMembers(_ change: ChangeMembers, _ link: LinkState, _ origin: Origin) throws(LogError) {
    let name = "chat:" + change.chat
    guard let topic = Topic(name) else { preconditionFailure("a chat with the malformed topic \(name)") }
    // Only a chat that somebody joins gets a row.
    let known: TopicID? = try change.change == .remove ? topicID(named: name) : topics[row(ofTopic: name)].id
    var effect = MemberEffect(
      change, present: try known.map { id throws(LogError) in try present(change, of: id) } ?? [])
    if let id = known {
      let count = change.change == .set ? effect.present.count : try log.memberCount(of: id)
      effect.members = count + effect.added.count - effect.left.count
      guard effect.members <= Limits.chatMembersMax || effect.added.isEmpty else {
        return refuse(
          origin, .resourceExhausted,
          "a chat may have \(Limits.chatMembersMax) members, and this would be \(effect.members)", .limit)
      }
      try apply(effect, to: id, name)
    }
    // Becoming a member takes nothing from anybody: nobody has to know before it is answered.
    guard change.change != .add else { return answer(origin, effect.answer) }
    let gone = effect.told.sorted()
    for start in stride(from: 0, to: gone.count, by: Limits.membersPerCallMax) {
      try announce([.removed(topic, users: Array(gone[start..<min(gone.count, start + Limits.membersPerCallMax)]))])
    }
    // Also when nothing is left to tell: what an earlier call removed may not be in force yet.
    turn.access.callers.append(AccessCaller(link: link.id, correlation: origin.correlation, answer: effect.answer))
  }

  /// Of those whom the change may concern, who is a member.
  private func present(_ change: ChangeMembers, of chat: TopicID) throws(LogError) -> Set<String> {
    var present = Set<String>()
    if change.change == .set {
      for member in try log.members(of: chat, after: "", limit: .max) { present.insert(member.user) }
    } else {
      for user in change.users where try log.member(user, of: chat) != nil { present.insert(user) }
    }
    return present
  }

  private func apply(_ effect: MemberEffect, to chat: TopicID, _ name: String) throws(LogError) {
    if !effect.added.isEmpty {
      let since = topics[try place(ofTopic: name)].head + 1
      for user in effect.added { try log.put(StoredMember(user: user, since: since), topic: chat) }
    }
    for user in effect.left { try log.removeMember(user, of: chat) }
    let count = effect.added.count + effect.left.count
    turn.access.members += count
    if count > 0 { turn.hasWrites = true }
  }

  private func listMembers(_ list: ListMembers, _ origin: Origin) throws(LogError) {
    guard let chat = try topicID(named: "chat:" + list.chat) else {
      return answer(origin, MemberList(total: 0, members: [], hasMore: false))
    }
    let limit = min(Limits.membersPerCallMax, max(1, Int(list.limit)))
    let members = try log.members(of: chat, after: list.after, limit: limit + 1)
    answer(
      origin,
      MemberList(
        total: UInt32(try log.memberCount(of: chat)),
        members: members.prefix(limit).map { MemberList.Member(user: $0.user, since: $0.since) },
        hasMore: members.count > limit))
  }

  private func memberships(_ query: MembershipQuery, _ origin: Origin) throws(LogError) {
    var since: [UInt64] = []
    since.reserveCapacity(query.entries.count)
    for entry in query.entries { since.append(try membership(of: entry.user, in: "chat:" + entry.chat) ?? 0) }
    answer(origin, MembershipAnswer(since: since))
  }

  private func memberships(of query: MembershipsQuery, _ origin: Origin) throws(LogError) {
    guard !isErasing(query.user) else { return answer(origin, Memberships(chats: [])) }
    var chats: [String] = []
    for topic in try log.memberships(of: query.user, limit: min(Int(query.limit), WireLimits.batchEntriesMax)) {
      if let chat = try log.name(of: topic).flatMap(Topic.init), chat.kind == "chat" { chats.append(String(chat.id)) }
    }
    answer(origin, Memberships(chats: chats))
  }

  /// The first offset of the user's present membership; `nil` for no member. Only chats have members.
  func membership(of user: String, in topic: String) throws(LogError) -> UInt64? {
    guard topic.utf8.starts(with: "chat:".utf8), let chat = try topicID(named: topic), !isErasing(user) else {
      return nil
    }
    return try log.member(user, of: chat)
  }

  /// What is left of the user's memberships is on its way out: nobody is told when each of them ends.
  private func isErasing(_ user: String) -> Bool {
    access.erasures[user] != nil || turn.access.erasures[user] != nil
  }

  /// Looks a topic up without making a place for it: people ask about chats that nobody ever wrote to.
  private func topicID(named name: String) throws(LogError) -> TopicID? {
    try ensureTransaction()
    if let place = topics.place(of: name), topics[place].isLoaded {
      return topics[place].id == 0 ? nil : topics[place].id
    }
    return try log.topic(named: name)?.id
  }

  // MARK: - Revocations

  private func revoke(_ revocation: Revocation, _ link: LinkState, _ origin: Origin) throws(LogError) {
    guard try admit(revocation, origin) else { return }
    turn.access.callers.append(AccessCaller(link: link.id, correlation: origin.correlation, answer: Revoked()))
  }

  /// Takes the tokens back, and has every gateway told. `false`, and answered, when there are too many.
  func admit(_ revocation: Revocation, _ origin: Origin) throws(LogError) -> Bool {
    let known = access.revocations[revocation.target]
    guard known != nil || access.revocations.count < SchedulerLimits.revocationsMax else {
      refuse(
        origin, .resourceExhausted,
        "\(SchedulerLimits.revocationsMax) revocations are kept already; say when the revoked tokens expire (expiresAt), "
          + "or revoke everybody's tokens issued before a moment", .limit)
      return false
    }
    let merged = known.map { $0.merged(with: revocation) } ?? revocation
    try log.put(merged)
    access.revocations.add(merged)
    turn.access.revocations += 1
    try announce([.revoked(merged)])
    return true
  }

  /// Forgets revocations whose tokens have all expired.
  func releaseRevocations() throws(LogError) {
    let targets = access.revocations.outlived(at: clock.deletionTime(moment), limit: StoreLimits.chunkRows)
    guard !targets.isEmpty else { return }
    let position = access.position + 1
    try transaction { () throws(LogError) in
      for target in targets { try log.remove(target) }
      try log.setAccessPosition(position)
    }
    access.position = position
    for target in targets { access.revocations.remove(target) }
    // A gateway that does not hear of it keeps what does no harm.
    tell(AccessChanged(position: position, changes: targets.map { .released($0) }))
  }

  func refuseRevoked(_ origin: Origin) {
    refuse(origin, .unauthenticated, "the token was revoked: sign in again", .access)
  }

  // MARK: - Telling the gateways

  /// One step of the access log, in the turn's transaction. It goes to every link at its place among the turn's answers:
  /// an attach that was answered before it saw the state before it.
  func announce(_ changes: [AccessChanged.Change]) throws(LogError) {
    turn.access.hasChanges = true
    access.position += 1
    try log.setAccessPosition(access.position)
    turn.hasWrites = true
    tell(AccessChanged(position: access.position, changes: changes))
  }

  private func tell(_ step: AccessChanged) {
    for case let link? in links where link.isToldAccess { link.out.frame(step) }
  }

  /// A new link begins with the whole state, before anything else on it. Its gateway asks for nothing before.
  func beginAccess(_ link: LinkState) {
    link.isToldAccess = true
    turn.access.begun.append(link)
    let all = access.revocations.all
    for start in stride(from: 0, to: all.count, by: SchedulerLimits.revocationsPerFrame) {
      let end = min(all.count, start + SchedulerLimits.revocationsPerFrame)
      link.out.frame(AccessChanged(position: access.position, changes: all[start..<end].map { .revoked($0) }))
    }
    link.out.frame(AccessLive(position: access.position))
    access.confirmations.opened(link.id, at: access.position)
  }

  // MARK: - The turn's end

  /// The turn's transaction is committed: who asked for a change waits for the gateways from now on.
  func accessCommitted() {
    for caller in turn.access.callers {
      access.confirmations.wait(for: access.position, since: moment.monotonic, caller)
    }
    access.erasures.merge(turn.access.erasures) { $1 }
    tellFollowersErased()
    metrics.accessChanges(.members, turn.access.members)
    metrics.accessChanges(.revocation, turn.access.revocations)
    metrics.accessChanges(.erasure, turn.access.erasures.count)
    turn.access = AccessTurn()
  }

  /// The turn's transaction failed. What it changed here is stricter than the log, until that can be read again.
  func accessLost() {
    if turn.access.hasChanges { access.isUncertain = true }
    // What they were told went with the rest of the turn's frames.
    for link in turn.access.begun { link.isToldAccess = false }
    turn.access = AccessTurn()
  }

  /// The log works again after a change of access whose fate nobody knows: begins anew from what it holds. Gateways link
  /// again, hear the whole state, and ask for every membership once more.
  func recoverAccess() throws(LogError) {
    guard access.isUncertain else { return }
    let recovered = try AccessState(log)
    for case let link? in links {
      turn.cuts.append((link.id, "access has to be told anew"))
      close(link.id)
    }
    access = recovered
  }

  /// Answers whose change is in force everywhere, and cuts gateways that let others wait. After the commit: an answer
  /// here is not of this turn's transaction, and is not lost with it.
  func settleAccess() {
    for case let link? in links where link.isGateway && !link.isToldAccess { beginAccess(link) }
    for id in access.confirmations.late(at: moment.monotonic) {
      guard let link = state(of: id) else { continue }
      metrics.accessLinksCut.add()
      logger.warning(
        "gateway did not confirm a change of access in time", metadata: ["gateway": "\(link.instance)"])
      turn.cuts.append((id, "a change of access was not confirmed within a second"))
      close(id)
    }
    for entry in access.confirmations.settled() {
      metrics.accessConfirmSeconds.observe(seconds: Double(moment.monotonic - entry.since) / 1000)
      state(of: entry.caller.link)?.out.frame(entry.caller.answer, correlation: entry.caller.correlation)
    }
  }
}
