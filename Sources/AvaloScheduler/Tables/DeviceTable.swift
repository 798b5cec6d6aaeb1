import AvaloStore

/// A session of a gateway. Its device's cursor is the lowest of its sessions' cursors.
struct SessionState {
  /// The gateway's number for it.
  let number: UInt64
  let link: Int32
  let device: Int32
  /// Since when nobody noted that it uses all its cursors; milliseconds since 1970.
  var quietSince: Int64
  var cursors = CursorList()

  func index(ofTopic topic: Int32) -> Int? { cursors.firstIndex { $0.topic == topic } }
}

/// A device with open sessions.
struct DeviceState {
  let id: DeviceID
  /// Milliseconds since 1970, as it is in the log.
  var seen: Int64
  /// Most devices have one session.
  var session: Int32
  var moreSessions: [Int32] = []
  /// Waits to be written back.
  var isQueued = false

  var sessions: [Int32] { [session] + moreSessions }
}

/// What is still to be written of a device that has no session any more.
struct PartedDevice {
  var cursors: [StoredCursor] = []
  /// Cursors that were kept under their topics' names, and are not any more.
  var renamed: [TopicID] = []
  /// When it was last seen, if that is worth a write.
  var seen: Int64?

  /// - `renamed`: the number that the cursor was kept under until now, if it was another.
  mutating func add(_ cursor: StoredCursor, renamed: TopicID?) {
    if let index = cursors.firstIndex(where: { $0.topic == cursor.topic }) {
      cursors[index].offset = max(cursors[index].offset, cursor.offset)
      cursors[index].used = cursor.used
    } else {
      cursors.append(cursor)
    }
    if let renamed { self.renamed.append(renamed) }
  }

  mutating func remove(_ topic: TopicID) { cursors.removeAll { $0.topic == topic } }
}

/// The sessions that are open and the devices they belong to, by place.
struct DeviceTable {
  private var sessions = Slab<SessionState>()
  private var devices = Slab<DeviceState>()
  private(set) var places: [DeviceID: Int32] = [:]
  private(set) var sessionCount = 0

  func session(_ place: Int32) -> SessionState { sessions[place] }
  func device(_ place: Int32) -> DeviceState { devices[place] }
  func place(of device: DeviceID) -> Int32? { places[device] }

  mutating func withSession<Result>(_ place: Int32, _ body: (inout SessionState) -> Result) -> Result {
    body(&sessions[place])
  }
  mutating func withDevice<Result>(_ place: Int32, _ body: (inout DeviceState) -> Result) -> Result {
    body(&devices[place])
  }

  /// Opens a session of a device, which comes into being with its first.
  mutating func open(_ number: UInt64, link: Int32, device id: DeviceID, seen: Int64, at now: Int64) -> Int32 {
    let known = places[id]
    let device = known ?? devices.add(DeviceState(id: id, seen: seen, session: 0))
    let session = sessions.add(SessionState(number: number, link: link, device: device, quietSince: now))
    if known == nil {
      places[id] = device
      devices[device].session = session
    } else {
      devices[device].moreSessions.append(session)
    }
    sessionCount += 1
    return session
  }

  func isOpen(_ session: Int32) -> Bool { sessions.holds(session) }

  /// Closes a session. A device without one is gone.
  mutating func close(_ place: Int32) -> (session: SessionState, device: DeviceID, seen: Int64, isLast: Bool) {
    let session = sessions.remove(place)
    sessionCount -= 1
    var device = devices[session.device]
    if device.session != place {
      device.moreSessions.removeAll { $0 == place }
    } else if let other = device.moreSessions.popLast() {
      device.session = other
    } else {
      places[device.id] = nil
      _ = devices.remove(session.device)
      return (session, device.id, device.seen, true)
    }
    devices[session.device] = device
    return (session, device.id, device.seen, false)
  }

  /// The device's cursor of a topic: the lowest of its sessions'.
  func cursor(ofDevice place: Int32, topic: Int32) -> UInt64? {
    var lowest: UInt64?
    for session in device(place).sessions {
      let session = self.session(session)
      guard let index = session.index(ofTopic: topic) else { continue }
      lowest = min(lowest ?? .max, session.cursors[index].offset)
    }
    return lowest
  }
}
