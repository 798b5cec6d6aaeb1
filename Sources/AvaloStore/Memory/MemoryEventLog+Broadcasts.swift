import AvaloCore

// Broadcasts, with their recipients.
extension MemoryEventLog {
  public func broadcast(_ id: UInt64) throws(LogError) -> StoredBroadcast? { state.broadcasts.rows[id] }

  public func unfinishedBroadcasts() throws(LogError) -> [StoredBroadcast] {
    state.broadcasts.rows.values.filter { $0.state != .finished }
      .sorted { ($0.started, $0.id) < ($1.started, $1.id) }
  }

  public func put(_ broadcast: StoredBroadcast) throws(LogError) {
    let before = state.broadcasts.rows.updateValue(broadcast, forKey: broadcast.id)
    undo.append { [state] in state.broadcasts.rows[broadcast.id] = before }
  }

  public func removeBroadcast(_ id: UInt64) throws(LogError) {
    try removeParts(ofBroadcast: id)
    let before = state.broadcasts.rows.removeValue(forKey: id)
    undo.append { [state] in state.broadcasts.rows[id] = before }
  }

  public func removeFinishedBroadcasts(before: Int64, keeping: Int) throws(LogError) -> Int {
    let finished = state.broadcasts.rows.values.filter { $0.state == .finished }
      .sorted { ($0.finished, $0.id) > ($1.finished, $1.id) }
    let doomed = finished.enumerated().filter { $0.offset >= keeping || $0.element.finished < before }
    for (_, broadcast) in doomed { try removeBroadcast(broadcast.id) }
    return doomed.count
  }

  // MARK: Parts

  public func put(record: [UInt8], ofBroadcast id: UInt64) throws(LogError) {
    changeParts(of: id) { $0.record = record }
  }

  public func record(ofBroadcast id: UInt64) throws(LogError) -> [UInt8]? { state.broadcasts.parts[id]?.record }

  public func put(recipients: [String], from first: UInt32, ofBroadcast id: UInt64) throws(LogError) {
    changeParts(of: id) { $0.users[first] = recipients }
  }

  public func recipients(
    at index: UInt32, ofBroadcast id: UInt64
  ) throws(LogError) -> (first: UInt32, users: [String])? {
    let parts = state.broadcasts.parts[id]?.users ?? [:]
    guard let first = parts.keys.filter({ $0 <= index }).max(), let users = parts[first],
      Int(index - first) < users.count
    else { return nil }
    return (first, users)
  }

  public func removeParts(ofBroadcast id: UInt64) throws(LogError) {
    let before = state.broadcasts.parts.removeValue(forKey: id)
    undo.append { [state] in state.broadcasts.parts[id] = before }
  }

  private func changeParts(of id: UInt64, _ change: (inout MemoryBroadcasts.Parts) -> Void) {
    let before = state.broadcasts.parts[id]
    change(&state.broadcasts.parts[id, default: MemoryBroadcasts.Parts()])
    undo.append { [state] in state.broadcasts.parts[id] = before }
  }

  // MARK: Shared records

  public func appendShared(expires: Int64, record: [UInt8], count: Int) throws(LogError) -> Int64 {
    state.broadcasts.lastShared += 1
    let id = state.broadcasts.lastShared
    state.broadcasts.shared[id] = MemoryBroadcasts.Shared(expires: expires, record: record, missing: count)
    undo.append { [state] in state.broadcasts.shared[id] = nil }
    return id
  }

  public func append(topic: TopicID, offset: UInt64, shared: Int64, message: ChatMessage?) throws(LogError) {
    guard let body = state.broadcasts.shared[shared] else {
      preconditionFailure("a reference to the shared record \(shared), which is gone")
    }
    add(.init(offset: offset, expires: body.expires, record: body.record), to: topic)
    note(message, in: topic, offset: offset, expires: body.expires)
    // The events have the record themselves: the name goes with the last of them.
    state.broadcasts.shared[shared]?.missing -= 1
    if body.missing <= 1 { state.broadcasts.shared[shared] = nil }
    undo.append { [state] in state.broadcasts.shared[shared] = body }
  }

  public func shared(_ id: Int64) throws(LogError) -> [UInt8]? { state.broadcasts.shared[id]?.record }
}

/// What a ``MemoryLogState`` keeps of broadcasts.
struct MemoryBroadcasts {
  struct Parts {
    var record: [UInt8]?
    /// By the number of the first.
    var users: [UInt32: [String]] = [:]
  }
  /// A record that many events have in common: arrays share their storage by themselves.
  struct Shared {
    var expires: Int64
    var record: [UInt8]
    /// How many references are still to be made.
    var missing: Int
  }
  var rows: [UInt64: StoredBroadcast] = [:]
  var parts: [UInt64: Parts] = [:]
  /// As long as something will refer to it, or until its time is over.
  var shared: [Int64: Shared] = [:]
  var lastShared: Int64 = 0
}
