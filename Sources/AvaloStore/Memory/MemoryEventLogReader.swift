import AvaloCore

/// Reads a ``MemoryEventLog`` from another thread; waits while the owner is within a transaction.
final class MemoryEventLogReader: EventLogReader {
  let state: MemoryLogState

  init(state: MemoryLogState) { self.state = state }

  func read(_ request: ReadRequest) throws(LogError) -> ReadOutcome {
    state.lock()
    defer { state.unlock() }
    let epoch = state.identity.epoch(of: request.topic)
    guard epoch == request.epoch else { return .otherEpoch(epoch) }
    guard let id = state.names[request.topic] else { return .page(ReadPage(floor: 0, through: 0, rows: [])) }

    let log = state.topics[Int(id)]
    var page = ReadPage(floor: log.floor, through: min(request.upTo, log.head), rows: [])
    var bytes = 0
    for event in log.events[log.index(after: request.after)...] {
      if event.offset > page.through { break }
      guard event.expires > request.nowMilliseconds else { continue }
      page.rows.append((event.offset, event.record))
      bytes += event.record.count
      if bytes >= min(request.bytesMax, StoreLimits.pageBytesMax)
        || page.rows.count >= min(request.rowsMax, StoreLimits.pageRowsMax)
      {
        page.through = event.offset
        break
      }
    }
    return .page(page)
  }
}

// MARK: - Read state

extension MemoryEventLogReader {
  func topic(named name: String) -> StoredTopic? { locked { $0.topic(named: name) } }
  func name(of topic: TopicID) -> String? { locked { $0.name(of: topic) } }
  func member(_ user: String, of topic: TopicID) -> UInt64? { locked { $0.access.members[topic]?[user] } }
  func message(_ message: UInt64, of chat: TopicID, in scope: TopicID) -> StoredMessage? {
    locked { $0.message(message, of: chat, in: scope) }
  }
  func messages(_ range: MessageRange, limit: Int) -> [StoredMessage] { locked { $0.messages(range, limit: limit) } }
  func messageCount(_ range: MessageRange, limit: Int) -> Int { messages(range, limit: limit).count }
  func chats(in scope: TopicID, limit: Int) -> [TopicID] { locked { $0.chats(in: scope, limit: limit) } }
  func marker(of user: String, in chat: TopicID) -> StoredMarker? { locked { $0.markers[user]?[chat] } }
  func markers(of chat: TopicID, since: Int64, limit: Int) -> [StoredMarker] {
    locked { $0.markers(of: chat, since: since, limit: limit) }
  }

  private func locked<Answer>(_ body: (MemoryLogState) -> Answer) -> Answer {
    state.lock()
    defer { state.unlock() }
    return body(state)
  }
}
