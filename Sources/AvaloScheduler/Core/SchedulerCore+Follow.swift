import AvaloCore
import AvaloStore
import AvaloWire

// Followers of the whole log: plugins that read everything of some types, in the order of the log's sequence. What is
// kept for them is a row beside the event, in its own transaction; while nobody follows it costs one comparison.
extension SchedulerCore {
  func follow(_ follow: Follow, _ link: LinkState, _ correlation: UInt32) throws(LogError) {
    let origin = Origin(link: link.place, correlation: correlation)
    expectAnswer(origin)
    guard isWritable(origin) else { return }
    let known = logFollowers[follow.name]
    guard known != nil || logFollowers.rows.count < SchedulerLimits.logFollowersMax else {
      return refuse(
        origin, .resourceExhausted, "\(SchedulerLimits.logFollowersMax) others follow the log already", .limit)
    }
    try ensureTransaction()
    var row = known ?? StoredFollower(name: follow.name, types: [], acknowledged: log.lastSequence, seen: 0)
    row.types = follow.types
    row.seen = moment.wall
    try log.put(row)
    turn.hasWrites = true
    logFollowers.put(row)
    link.follower = row.name
    link.follows = row.types
    answer(
      origin, Following(generation: log.identity.generation, acknowledged: row.acknowledged, missed: row.missed))
  }

  func acknowledge(_ acknowledge: AcknowledgeFollowed, _ link: LinkState) {
    guard let name = link.follower else { return }
    logFollowers.acknowledge(name, min(acknowledge.sequence, log.lastSequence))
  }

  /// An event was appended: it is kept if somebody follows its type.
  func keepForFollowers(_ type: EventType) throws(LogError) {
    guard logFollowers.types.contains(type) else { return }
    try log.followLast(type)
    turn.followed.types.insert(EventTypes([type]))
    turn.followed.count += 1
  }

  func followedCommitted() {
    logFollowers.kept += turn.followed.count
    if logFollowers.kept > settings.followedMax { logFollowers.mayDrop = true }
  }

  /// The turn is committed: who follows something of it may read on.
  func tellFollowers() {
    guard turn.followed.count > 0 else { return }
    for case let link? in links where !link.follows.isDisjoint(with: turn.followed.types) {
      let missed = link.follower.flatMap { logFollowers[$0]?.missed } ?? 0
      link.out.frame(FollowedGrew(sequence: log.lastSequence, missed: missed))
    }
  }

  /// Inboxes are being erased: of what followers have read of them, nothing goes on.
  func tellFollowersErased() {
    guard !turn.access.erasures.isEmpty else { return }
    for (user, erasure) in turn.access.erasures {
      guard let inbox = Topic.inbox(of: user) else { continue }
      for case let link? in links where link.follower != nil {
        link.out.frame(FollowedErased(topic: inbox, upTo: erasure.upTo))
      }
    }
  }

  // MARK: Between turns

  /// Writes back what was acknowledged, and forgets followers who have not been here for long.
  func settleFollowers() throws(LogError) {
    let now = clock.deletionTime(moment)
    var isHere: Set<String> = []
    for case let link? in links { if let name = link.follower { isHere.insert(name) } }
    for name in isHere { logFollowers.see(name, at: now) }
    for row in logFollowers.rows.values where !isHere.contains(row.name) {
      guard now - row.seen >= SchedulerLimits.followerUnseenMilliseconds else { continue }
      logFollowers.forget(row.name)
      logger.notice(
        "a follower of the log was not seen for long and is forgotten", metadata: ["follower": "\(row.name)"])
    }
    guard !logFollowers.forgotten.isEmpty || !logFollowers.unwritten.isEmpty else { return }
    try transaction { () throws(LogError) in
      for name in logFollowers.forgotten { try log.removeFollower(name) }
      for name in logFollowers.unwritten { if let row = logFollowers[name] { try log.put(row) } }
    }
    logFollowers.written()
  }

  /// An operator's word: nothing is kept for it any more.
  func forgetFollower(_ name: String) -> Bool {
    guard logFollowers[name] != nil else { return false }
    logFollowers.forget(name)
    for case let link? in links where link.follower == name {
      link.follower = nil
      link.follows = []
    }
    return true
  }

  /// Forgets a chunk of what every follower has acknowledged, and of the oldest when there are too many.
  func dropFollowed() throws(LogError) {
    let excess = logFollowers.kept - settings.followedMax
    var dropped: [Followed] = []
    try transaction { () throws(LogError) in
      dropped = try log.dropFollowed(upTo: logFollowers.acknowledged, limit: StoreLimits.chunkRows)
      if dropped.isEmpty, excess > 0 {
        dropped = try log.dropFollowed(upTo: .max, limit: min(excess, StoreLimits.chunkRows))
      }
    }
    let missed = logFollowers.dropped(dropped)
    logFollowers.mayDrop = !dropped.isEmpty
    guard missed > 0 else { return }
    metrics.followedMissed.add(missed)
    logger.warning(
      "too many events wait for those who follow the log: the oldest were dropped", metadata: ["events": "\(missed)"])
  }
}

/// What the running turn keeps for logFollowers.
struct FollowedTurn {
  var types: EventTypes = []
  var count = 0
}
