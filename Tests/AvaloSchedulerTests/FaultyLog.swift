import AvaloCore
import AvaloStore

/// A log over another that fails where a test says so, as a disk does: a commit that fails may have happened or not.
final class FaultyLog: EventLog {
  enum Step: CaseIterable {
    case begin, commit, reopen, close, mint
    case topic, createTopic, append, bytes, evict, expire, key, putKey
    case device, register, touch, forget, cursors, putCursor
    case hold, due, release, maintain, note
    case readAccess, writeAccess, readReads, writeReads, readBroadcasts, writeBroadcasts
    case readFollowers, writeFollowers
  }

  let inner: any EventLog
  /// Asked at every step; what it answers is thrown.
  var failure: (Step) -> LogError? = { _ in nil }
  /// Whether a commit that fails has happened nevertheless.
  var keepsFailedCommits = false
  private(set) var counts: [Step: Int] = [:]

  init(_ inner: any EventLog) { self.inner = inner }

  /// Fails at each of these steps from now on.
  func fail(at steps: Set<Step>, _ error: LogError = .full("no space left, says the test")) {
    failure = { steps.contains($0) ? error : nil }
  }
  /// Fails at the next time of this step only.
  func failOnce(at step: Step, after passes: Int = 0, _ error: LogError = .full("no space left, says the test")) {
    var left = passes
    failure = { [weak self] taken in
      guard taken == step else { return nil }
      left -= 1
      guard left < 0 else { return nil }
      self?.recover()
      return error
    }
  }
  func recover() { failure = { _ in nil } }

  func pass(_ step: Step) throws(LogError) {
    counts[step, default: 0] += 1
    if let error = failure(step) { throw error }
  }

  var identity: LogIdentity { inner.identity }
  var durability: Durability { inner.durability }
  var clockMark: ClockMark? { inner.clockMark }
  func note(_ mark: ClockMark) throws(LogError) {
    try pass(.note)
    try inner.note(mark)
  }

  func begin() throws(LogError) {
    try pass(.begin)
    try inner.begin()
  }
  func commit() throws(LogError) {
    do throws(LogError) {
      try pass(.commit)
    } catch {
      if keepsFailedCommits { try inner.commit() }
      throw error
    }
    try inner.commit()
  }
  func rollback() { inner.rollback() }
  func reopen() throws(LogError) {
    try pass(.reopen)
    try inner.reopen()
  }
  func close() throws(LogError) {
    try pass(.close)
    try inner.close()
  }
  func mint(nowMilliseconds: Int64) throws(LogError) {
    try pass(.mint)
    try inner.mint(nowMilliseconds: nowMilliseconds)
  }

  func topic(named name: String) throws(LogError) -> StoredTopic? {
    try pass(.topic)
    return try inner.topic(named: name)
  }
  func createTopic(named name: String) throws(LogError) -> TopicID {
    try pass(.createTopic)
    return try inner.createTopic(named: name)
  }
  func append(
    topic: TopicID, offset: UInt64, expires: Int64, record: [UInt8], key: StoredKey?, message: ChatMessage?
  ) throws(LogError) {
    try pass(.append)
    try inner.append(topic: topic, offset: offset, expires: expires, record: record, key: key, message: message)
  }
  func appendShared(expires: Int64, record: [UInt8], count: Int) throws(LogError) -> Int64 {
    try pass(.append)
    return try inner.appendShared(expires: expires, record: record, count: count)
  }
  func append(topic: TopicID, offset: UInt64, shared: Int64, message: ChatMessage?) throws(LogError) {
    try pass(.append)
    try inner.append(topic: topic, offset: offset, shared: shared, message: message)
  }
  func tail(of topic: TopicID, nowMilliseconds: Int64) throws(LogError) -> UInt64 {
    try pass(.topic)
    return try inner.tail(of: topic, nowMilliseconds: nowMilliseconds)
  }
  func bytes(of topic: TopicID) throws(LogError) -> Int {
    try pass(.bytes)
    return try inner.bytes(of: topic)
  }
  func evict(topic: TopicID, upTo offset: UInt64, freeing bytes: Int) throws(LogError) -> (
    floor: UInt64, removed: Removed
  ) {
    try pass(.evict)
    return try inner.evict(topic: topic, upTo: offset, freeing: bytes)
  }
  func expire(before: Int64) throws(LogError) -> Removed {
    try pass(.expire)
    return try inner.expire(before: before)
  }

  func key(topic: TopicID, hash: UInt64) throws(LogError) -> StoredKey? {
    try pass(.key)
    return try inner.key(topic: topic, hash: hash)
  }
  func put(_ key: StoredKey, topic: TopicID) throws(LogError) {
    try pass(.putKey)
    try inner.put(key, topic: topic)
  }

  func device(user: String, device: String) throws(LogError) -> StoredDevice? {
    try pass(.device)
    return try inner.device(user: user, device: device)
  }
  func devices(of user: String) throws(LogError) -> [StoredDevice] {
    try pass(.device)
    return try inner.devices(of: user)
  }
  func register(
    user: String, device: String, platform: Platform, seen: Int64, isPassing: Bool
  ) throws(LogError) -> DeviceID {
    try pass(.register)
    return try inner.register(user: user, device: device, platform: platform, seen: seen, isPassing: isPassing)
  }
  func touch(device: DeviceID, platform: Platform?, seen: Int64) throws(LogError) {
    try pass(.touch)
    try inner.touch(device: device, platform: platform, seen: seen)
  }
  func note(polled: String, device: DeviceID) throws(LogError) {
    try pass(.touch)
    try inner.note(polled: polled, device: device)
  }
  func forget(device: DeviceID) throws(LogError) {
    try pass(.forget)
    try inner.forget(device: device)
  }
  func devices(after: DeviceID) throws(LogError) -> [StoredDevice] {
    try pass(.device)
    return try inner.devices(after: after)
  }
  func cursors(of device: DeviceID) throws(LogError) -> [StoredCursor] {
    try pass(.cursors)
    return try inner.cursors(of: device)
  }
  func put(_ cursor: StoredCursor, device: DeviceID) throws(LogError) {
    try pass(.putCursor)
    try inner.put(cursor, device: device)
  }
  func forget(cursor topic: TopicID, device: DeviceID) throws(LogError) {
    try pass(.putCursor)
    try inner.forget(cursor: topic, device: device)
  }

  func hold(_ event: DelayedEvent) throws(LogError) {
    try pass(.hold)
    try inner.hold(event)
  }
  func due(nowMilliseconds: Int64, limit: Int) throws(LogError) -> [DelayedEvent] {
    try pass(.due)
    return try inner.due(nowMilliseconds: nowMilliseconds, limit: limit)
  }
  func nextDue() throws(LogError) -> Int64? {
    try pass(.due)
    return try inner.nextDue()
  }
  func release(delayed id: Int64) throws(LogError) {
    try pass(.release)
    try inner.release(delayed: id)
  }
  func delayedCount() throws(LogError) -> Int { try inner.delayedCount() }
  func delayed(topic: String, hash: UInt64) throws(LogError) -> Int64? {
    try pass(.due)
    return try inner.delayed(topic: topic, hash: hash)
  }

  func maintain(rows: Int, before: Int64) throws(LogError) -> Bool {
    try pass(.maintain)
    return try inner.maintain(rows: rows, before: before)
  }
  func statistics() throws(LogError) -> LogStatistics { try inner.statistics() }
  func reader() throws(LogError) -> any EventLogReader { try inner.reader() }

  // MARK: Access

  func accessPosition() throws(LogError) -> UInt64 {
    try pass(.readAccess)
    return try inner.accessPosition()
  }
  func setAccessPosition(_ position: UInt64) throws(LogError) {
    try pass(.writeAccess)
    try inner.setAccessPosition(position)
  }
  func member(_ user: String, of topic: TopicID) throws(LogError) -> UInt64? {
    try pass(.readAccess)
    return try inner.member(user, of: topic)
  }
  func memberCount(of topic: TopicID) throws(LogError) -> Int {
    try pass(.readAccess)
    return try inner.memberCount(of: topic)
  }
  func members(of topic: TopicID, after: String, limit: Int) throws(LogError) -> [StoredMember] {
    try pass(.readAccess)
    return try inner.members(of: topic, after: after, limit: limit)
  }
  func put(_ member: StoredMember, topic: TopicID) throws(LogError) {
    try pass(.writeAccess)
    try inner.put(member, topic: topic)
  }
  func removeMember(_ user: String, of topic: TopicID) throws(LogError) {
    try pass(.writeAccess)
    try inner.removeMember(user, of: topic)
  }
  func memberships(of user: String, limit: Int) throws(LogError) -> [TopicID] {
    try pass(.readAccess)
    return try inner.memberships(of: user, limit: limit)
  }
  func removeMemberships(of user: String, limit: Int) throws(LogError) -> Int {
    try pass(.writeAccess)
    return try inner.removeMemberships(of: user, limit: limit)
  }
  func revocations() throws(LogError) -> [Revocation] {
    try pass(.readAccess)
    return try inner.revocations()
  }
  func put(_ revocation: Revocation) throws(LogError) {
    try pass(.writeAccess)
    try inner.put(revocation)
  }
  func remove(_ target: Revocation.Target) throws(LogError) {
    try pass(.writeAccess)
    try inner.remove(target)
  }
  func erasures() throws(LogError) -> [StoredErasure] {
    try pass(.readAccess)
    return try inner.erasures()
  }
  func put(_ erasure: StoredErasure) throws(LogError) {
    try pass(.writeAccess)
    try inner.put(erasure)
  }
  func removeErasure(of user: String) throws(LogError) {
    try pass(.writeAccess)
    try inner.removeErasure(of: user)
  }
  func eraseLast(of topic: TopicID) throws(LogError) -> Removed {
    try pass(.evict)
    return try inner.eraseLast(of: topic)
  }
  func releaseDelayed(topic name: String, limit: Int) throws(LogError) -> Int {
    try pass(.release)
    return try inner.releaseDelayed(topic: name, limit: limit)
  }

  // MARK: Followers

  func followers() throws(LogError) -> [StoredFollower] {
    try pass(.readFollowers)
    return try inner.followers()
  }
  func put(_ follower: StoredFollower) throws(LogError) {
    try pass(.writeFollowers)
    try inner.put(follower)
  }
  func removeFollower(_ name: String) throws(LogError) {
    try pass(.writeFollowers)
    try inner.removeFollower(name)
  }
  func followLast(_ type: EventType) throws(LogError) {
    try pass(.writeFollowers)
    try inner.followLast(type)
  }
  func followedCount() throws(LogError) -> Int {
    try pass(.readFollowers)
    return try inner.followedCount()
  }
  func dropFollowed(upTo sequence: UInt64, limit: Int) throws(LogError) -> [Followed] {
    try pass(.writeFollowers)
    return try inner.dropFollowed(upTo: sequence, limit: limit)
  }

  // MARK: Read state

  var lastSequence: UInt64 { inner.lastSequence }
  func advanceSequence() throws(LogError) -> UInt64 {
    try pass(.writeReads)
    return try inner.advanceSequence()
  }
  func message(_ message: UInt64, of chat: TopicID, in scope: TopicID) throws(LogError) -> StoredMessage? {
    try pass(.readReads)
    return try inner.message(message, of: chat, in: scope)
  }
  func messages(_ range: MessageRange, limit: Int) throws(LogError) -> [StoredMessage] {
    try pass(.readReads)
    return try inner.messages(range, limit: limit)
  }
  func messageCount(_ range: MessageRange, limit: Int) throws(LogError) -> Int {
    try pass(.readReads)
    return try inner.messageCount(range, limit: limit)
  }
  func chats(in scope: TopicID, limit: Int) throws(LogError) -> [TopicID] {
    try pass(.readReads)
    return try inner.chats(in: scope, limit: limit)
  }
  func marker(of user: String, in chat: TopicID) throws(LogError) -> StoredMarker? {
    try pass(.readReads)
    return try inner.marker(of: user, in: chat)
  }
  func put(_ marker: StoredMarker) throws(LogError) {
    try pass(.writeReads)
    try inner.put(marker)
  }
  func markers(of chat: TopicID, since: Int64, limit: Int) throws(LogError) -> [StoredMarker] {
    try pass(.readReads)
    return try inner.markers(of: chat, since: since, limit: limit)
  }
  func markers(above version: UInt64, limit: Int) throws(LogError) -> [StoredMarker] {
    try pass(.readReads)
    return try inner.markers(above: version, limit: limit)
  }
  func removeMarkers(of user: String, limit: Int) throws(LogError) -> Int {
    try pass(.writeReads)
    return try inner.removeMarkers(of: user, limit: limit)
  }
  func name(of topic: TopicID) throws(LogError) -> String? {
    try pass(.topic)
    return try inner.name(of: topic)
  }
  func record(of topic: TopicID, at offset: UInt64) throws(LogError) -> [UInt8]? {
    try pass(.readReads)
    return try inner.record(of: topic, at: offset)
  }
}
