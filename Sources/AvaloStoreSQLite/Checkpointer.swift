import AvaloStore
import Dispatch
import Foundation
import Synchronization

/// Copies the write-ahead log into the file, on a thread and a connection of its own: the owner never waits for it.
///
/// SQLite begins the log anew only when everything in it has been copied while nobody wrote. Under steady load that
/// moment never comes by itself, and the log would grow for ever; so when it has become long and nearly all of it is
/// copied, the owner is asked to copy the rest between two turns.
final class Checkpointer: Sendable {
  private let connection: OwnedByThread
  private let isStopping = Atomic(false)
  private let isRequested = Atomic(false)
  private let wake = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)
  private let isStarted = Atomic(false)

  init(path: String) throws(LogError) {
    let connection = try Connection(path: path)
    try connection.execute("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0")
    self.connection = OwnedByThread(connection)
  }

  func start() {
    isStarted.store(true, ordering: .relaxed)
    let thread = Thread { self.run() }
    thread.name = "checkpoint"
    thread.start()
  }

  /// Returns when nothing here has the file open any more.
  func stop() {
    guard isStarted.exchange(false, ordering: .relaxed) else { return }
    isStopping.store(true, ordering: .relaxed)
    wake.signal()
    ended.wait()
  }

  /// Much has been written since the last time: do not wait.
  func nudge() { wake.signal() }

  /// Whether the owner is to copy the rest now; asked once.
  func takeRequest() -> Bool {
    isRequested.load(ordering: .relaxed) && isRequested.exchange(false, ordering: .relaxed)
  }

  private func run() {
    while !isStopping.load(ordering: .relaxed) {
      let pause = copy() ? SQLiteLimits.checkpointBusyMilliseconds : SQLiteLimits.checkpointMilliseconds
      _ = wake.wait(timeout: .now() + .milliseconds(pause))
    }
    connection.value.close()  // before anybody hears that it has ended
    ended.signal()
  }

  /// Copies until little is left; says whether there was much. What fails here fails for the owner too, who has
  /// somebody to tell.
  private func copy() -> Bool {
    var before = 0
    while !isStopping.load(ordering: .relaxed) {
      guard let progress = try? connection.value.checkpoint() else { return false }
      guard progress.frames >= SQLiteLimits.walFramesMax else {
        return progress.frames >= SQLiteLimits.walFramesMax / 4
      }
      // Frames that came during this pass show at the next one. An owner who writes faster than the disk copies has to
      // wait for it in the end.
      let isNearlyDone = progress.frames - before <= SQLiteLimits.walFramesInline
      if isNearlyDone || progress.frames >= SQLiteLimits.walFramesHard { break }
      before = progress.frames
    }
    isRequested.store(true, ordering: .relaxed)
    return true
  }

  /// Sendable because only the checkpointer's thread uses what is in it, after `init` has ended.
  private struct OwnedByThread: @unchecked Sendable {
    let value: Connection
    init(_ value: Connection) { self.value = value }
  }
}
