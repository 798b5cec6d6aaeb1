import AvaloCore
import AvaloStore

// Devices with their cursors, and events held for later.
extension SQLiteEventLog {
  public func device(user: String, device: String) throws(LogError) -> StoredDevice? {
    try rows(sql.deviceNamed.bind(1, user).bind(2, device)).first
  }

  public func devices(of user: String) throws(LogError) -> [StoredDevice] { try rows(sql.devicesOf.bind(1, user)) }

  public func devices(after: DeviceID) throws(LogError) -> [StoredDevice] {
    try rows(sql.devicesAfter.bind(1, after).bind(2, Int64(StoreLimits.chunkRows)))
  }

  private func rows(_ statement: Statement) throws(LogError) -> [StoredDevice] {
    var devices: [StoredDevice] = []
    while try statement.step() {
      devices.append(
        StoredDevice(
          id: statement.integer(0), device: statement.text(1),
          platform: Platform(rawValue: UInt8(truncatingIfNeeded: statement.integer(2))) ?? .unknown,
          seen: statement.integer(3), isPassing: statement.integer(4) != 0, polled: statement.text(5)))
    }
    return devices
  }

  public func register(
    user: String, device: String, platform: Platform, seen: Int64, isPassing: Bool
  ) throws(LogError) -> DeviceID {
    sql.insertDevice.bind(1, user).bind(2, device).bind(3, Int64(platform.rawValue)).bind(4, seen)
      .bind(5, isPassing ? 1 : 0 as Int64)
    guard try sql.insertDevice.step() else { throw .unavailable("\(file.path): no id for a device") }
    defer { sql.insertDevice.reset() }
    return sql.insertDevice.integer(0)
  }

  public func touch(device: DeviceID, platform: Platform?, seen: Int64) throws(LogError) {
    try sql.touchDevice.bind(1, device).bind(2, platform.map { Int64($0.rawValue) }).bind(3, seen).run()
  }

  public func note(polled: String, device: DeviceID) throws(LogError) {
    try sql.noteDevicePolled.bind(1, device).bind(2, polled).run()
  }

  public func forget(device: DeviceID) throws(LogError) {
    try sql.deleteCursors.bind(1, device).run()
    try sql.deleteDevice.bind(1, device).run()
  }

  public func cursors(of device: DeviceID) throws(LogError) -> [StoredCursor] {
    var cursors: [StoredCursor] = []
    sql.cursorsOf.bind(1, device)
    while try sql.cursorsOf.step() {
      cursors.append(
        StoredCursor(
          topic: sql.cursorsOf.integer(0), offset: sql.cursorsOf.unsigned(1), used: sql.cursorsOf.integer(2),
          began: sql.cursorsOf.unsigned(3)))
    }
    return cursors
  }

  public func put(_ cursor: StoredCursor, device: DeviceID) throws(LogError) {
    try sql.upsertCursor.bind(1, device).bind(2, cursor.topic).bind(3, cursor.offset).bind(4, cursor.used)
      .bind(5, cursor.began).run()
  }

  public func forget(cursor topic: TopicID, device: DeviceID) throws(LogError) {
    try sql.deleteCursor.bind(1, device).bind(2, topic).run()
  }

  // MARK: Delayed events

  public func hold(_ event: DelayedEvent) throws(LogError) {
    let due = min(max(0, event.due), StoreLimits.expiryMillisecondsMax)
    for _ in 0..<(1 << 16) {
      eventNumber = (eventNumber + 1) & (1 << SQLiteLimits.eventNumberBits - 1)
      sql.insertDelayed.bind(1, due << SQLiteLimits.eventNumberBits | eventNumber).bind(2, event.topic)
        .bind(3, event.hash).bind(4, event.content)
      if try sql.insertDelayed.run(blob: 5, event.record) { return }
    }
    throw .unavailable("\(file.path): too many events are due in the same millisecond")
  }

  public func due(nowMilliseconds: Int64, limit: Int) throws(LogError) -> [DelayedEvent] {
    var events: [DelayedEvent] = []
    sql.dueDelayed.bind(1, (nowMilliseconds + 1) << SQLiteLimits.eventNumberBits).bind(2, Int64(limit))
    while try sql.dueDelayed.step() {
      let id = sql.dueDelayed.integer(0)
      events.append(
        DelayedEvent(
          id: id, due: id >> SQLiteLimits.eventNumberBits, topic: sql.dueDelayed.text(1),
          hash: sql.dueDelayed.unsigned(2), content: sql.dueDelayed.unsigned(3), record: sql.dueDelayed.blob(4)))
    }
    return events
  }

  public func nextDue() throws(LogError) -> Int64? {
    guard try sql.nextDelayed.step() else { return nil }
    defer { sql.nextDelayed.reset() }
    return sql.nextDelayed.integer(0) >> SQLiteLimits.eventNumberBits
  }

  public func release(delayed id: Int64) throws(LogError) { try sql.deleteDelayed.bind(1, id).run() }

  public func delayed(topic: String, hash: UInt64) throws(LogError) -> Int64? {
    guard try sql.delayedNamed.bind(1, hash).bind(2, topic).step() else { return nil }
    defer { sql.delayedNamed.reset() }
    return sql.delayedNamed.integer(0)
  }

  public func delayedCount() throws(LogError) -> Int {
    Int(try connection.integer("SELECT count(*) FROM delayed"))
  }
}
