import AvaloCore
import AvaloStore
import AvaloWire

// Forgetting a user: what takes one transaction at once, what may be long chunk by chunk between turns, over restarts.
extension SchedulerCore {
  /// Revokes the user's tokens and forgets their devices; memberships and inbox follow in ``eraseSome()``. The answer
  /// follows when nothing is left.
  func erase(_ erase: Erase, _ link: LinkState, _ origin: Origin) throws(LogError) {
    let revocation = Revocation(
      .user(erase.user), issuedBeforeMilliseconds: erase.issuedBeforeMilliseconds,
      untilMilliseconds: erase.untilMilliseconds)
    guard try admit(revocation, origin) else { return }
    let stored = try log.devices(of: erase.user)
    for device in stored {
      closeSessions(of: device.id)
      try forget(device.id)
    }
    let inbox = try place(ofTopic: "user:" + erase.user)
    var erasure = turn.access.erasures[erase.user] ?? access.erasures[erase.user] ?? Erasure(upTo: 0)
    erasure.upTo = topics[inbox].head
    erasure.removed.devices += UInt32(stored.count)
    erasure.callers.append(
      AccessCaller(
        link: link.id, correlation: origin.correlation, answer: Erased(events: 0, devices: 0, memberships: 0)))
    try log.put(StoredErasure(user: erase.user, upTo: erasure.upTo))
    // Not to be worked on before the transaction that begins it is committed.
    turn.access.erasures[erase.user] = erasure
  }

  /// Whoever has it open is being cut; what they still acknowledge must not bring the device back.
  private func closeSessions(of device: DeviceID) {
    guard let place = devices.place(of: device) else { return }
    for session in devices.device(place).sessions {
      guard let link = links[Int(devices.session(session).link)] else { continue }
      close(session: session, of: link)
    }
  }

  /// A bounded piece of the erasing that is under way, in a transaction of its own.
  func eraseSome() throws(LogError) {
    guard let (user, begun) = access.erasures.first else { return }
    var (erasure, isDone) = (begun, false)
    try transaction { () throws(LogError) in isDone = try eraseSome(of: user, &erasure) }
    if isDone {
      access.erasures[user] = nil
      for var caller in erasure.callers {
        caller.answer = erasure.removed
        access.confirmations.wait(for: access.position, since: moment.monotonic, caller)
      }
    } else {
      access.erasures[user] = erasure
    }
  }

  private func eraseSome(of user: String, _ erasure: inout Erasure) throws(LogError) -> Bool {
    let limit = StoreLimits.chunkRows
    let memberships = try log.removeMemberships(of: user, limit: limit)
    erasure.removed.memberships += UInt32(memberships)
    guard memberships < limit else { return false }
    guard try log.removeMarkers(of: user, limit: limit) < limit else { return false }
    guard try log.releaseDelayed(topic: "user:" + user, limit: limit) < limit else {
      isDueStale = true
      return false
    }
    let inbox = try place(ofTopic: "user:" + user)
    if topics[inbox].id != 0, topics[inbox].floor < erasure.upTo {
      guard try eraseEvents(of: inbox, &erasure) else { return false }
    }
    try log.removeErasure(of: user)
    return true
  }

  /// Whether all of them are gone.
  private func eraseEvents(of inbox: Int32, _ erasure: inout Erasure) throws(LogError) -> Bool {
    let (floor, removed) = try log.evict(topic: topics[inbox].id, upTo: erasure.upTo, freeing: 0)
    erasure.removed.events += UInt32(removed.events)
    topics[inbox].floor = floor
    topics[inbox].bytes = -1
    guard removed.rows < StoreLimits.chunkRows else { return false }
    if erasure.upTo >= topics[inbox].head {
      let last = try log.eraseLast(of: topics[inbox].id)
      erasure.removed.events += UInt32(last.events)
      topics[inbox].floor = topics[inbox].head
    }
    return true
  }
}
