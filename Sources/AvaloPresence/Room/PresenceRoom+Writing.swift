import AvaloSystem
import Logging
import NIOCore

// How the file learns what it does not have.
extension PresenceRoom {

  /// Gives the file the next batch, unless one is under way or the file needs time. What it does not take waits on the
  /// board, where a row that changes again is still one row.
  func flush() {
    defer { showUnwritten() }
    guard board.hasUnwritten, schedule.begin(at: now.monotonic) else { return }
    let changes = board.takeUnwritten(max: PresenceLimits.batchRowsMax, at: now)
    rowsUnderWay = changes.count
    updates.writing(Set(changes.users.map(\.index)))
    let start = context.monotonicClock.now
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    store.write(changes) { [eventLoop = context.eventLoop] result in
      eventLoop.execute { bound.value.finished(changes, result, since: start) }
    }
  }

  private func finished(_ changes: RegistryChanges, _ result: Result<Void, any Error>, since start: MonotonicInstant) {
    rowsUnderWay = 0
    defer { showUnwritten() }
    switch result {
    case .success:
      metrics.writeSeconds.observe(context.monotonicClock.now - start)
      board.written(changes)
      updates.written(true)
      if schedule.succeeded() { context.log.notice("the presence registry can be written again") }
      // A batch that was full has more behind it, and an update does not wait for the clock.
      if changes.count >= PresenceLimits.batchRowsMax || updates.isWaiting { flush() }
    case .failure(let error):
      metrics.failedWrites.add(1)
      board.notWritten(changes)
      updates.written(false)
      metrics.lostUsers.add(board.unwritten.takeLostUsers())
      guard schedule.failed(at: now.monotonic) else { return }
      context.log.error(
        "the presence registry cannot be written: it is tried again until it can, and who is here is known meanwhile",
        metadata: ["file": "\(store.path)", "reason": "\(error)"])
    }
  }

  func showUnwritten() { metrics.unwritten.set(board.unwritten.count + rowsUnderWay) }
}
