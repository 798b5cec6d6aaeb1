import AvaloCore

/// Reads a ``MemoryEventLog`` from another thread; waits while the owner is within a transaction.
final class MemoryEventLogReader: EventLogReader {
  private let state: MemoryLogState

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
