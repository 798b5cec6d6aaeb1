import AvaloCore

extension MemoryEventLogReader {
  func trace(_ request: TraceRequest) throws(LogError) -> EventTrace {
    state.lock()
    defer { state.unlock() }
    var trace = EventTrace()
    var owners = request.owners
    for log in state.topics.dropFirst() where request.topic == nil || log.name == request.topic {
      for event in log.events where event.record.isOf(request.eventID) && trace.kept.count < request.limit {
        trace.kept.append(EventTrace.Kept(topic: log.name, offset: event.offset, record: event.record))
        event.record.withUnsafeBytes { bytes in
          guard let record = EventRecord(bytes), !record.sourceUserID.isEmpty else { return }
          owners.append("user:" + String(decoding: record.sourceUserID, as: UTF8.self))
        }
      }
    }
    var id = request.eventID
    for owner in Set(owners) {
      let hash = id.withUTF8 { state.identity.hash(owner: owner, eventID: UnsafeRawBufferPointer($0)) }
      if let fate = state.topics[0].keys[state.identity.hash(ofHeld: hash)], Int(fate.content) < state.topics.count {
        let topic = state.topics[Int(fate.content)].name
        if request.topic == nil || request.topic == topic {
          trace.fates.append(EventTrace.Fate(topic: topic, owner: owner, key: fate))
        }
      }
      for (place, log) in state.topics.enumerated()
      where place == 0 || request.topic == nil || log.name == request.topic {
        guard let key = log.keys[hash], trace.accepted.count < request.limit else { continue }
        trace.accepted.append(EventTrace.Accepted(topic: place == 0 ? nil : log.name, owner: owner, key: key))
      }
    }
    trace.held = Array(
      state.delayed.filter { (request.topic == nil || $0.topic == request.topic) && $0.record.isOf(request.eventID) }
        .prefix(request.limit))
    return trace
  }

  func devices(of topic: String, limit: Int) throws(LogError) -> [TracedDevice] {
    state.lock()
    defer { state.unlock() }
    let id = state.names[topic]
    let awaited = state.identity.awaited(topic)
    let found = state.devices.values.compactMap { device -> TracedDevice? in
      let cursor = id.flatMap { device.cursors[$0] } ?? device.cursors[awaited]
      guard cursor != nil || topic == "user:" + device.user else { return nil }
      return TracedDevice(
        user: device.user, device: device.row, cursor: cursor?.offset, began: cursor?.began ?? 0,
        since: id.flatMap { state.access.members[$0]?[device.user] })
    }
    return Array(found.sorted { $0.device.seen > $1.device.seen }.prefix(limit))
  }
}

extension [UInt8] {
  /// Whether it is the record of that event.
  fileprivate func isOf(_ eventID: String) -> Bool {
    withUnsafeBytes { EventRecord($0)?.eventID.elementsEqual(eventID.utf8) ?? false }
  }
}
