import AvaloCore
import AvaloLink
import AvaloWire
import Logging
import NIOCore

// What gateways are told, and what must be asked of the file for it.
extension PresenceRoom {

  /// Sends what has changed, once for each gateway that watches.
  func tell() {
    for change in board.takeChanges(at: now) { send(change) }
    for indicator in typing.takeOutgoing() { send(indicator) }
    metrics.droppedTyping.add(typing.takeDropped())
    ask()
  }

  private func send(_ change: PresenceChange) {
    metrics.changes.add(1)
    var handles: [UInt16: [UInt32]] = [:]
    for target in change.targets { handles[target.link, default: []].append(target.handle) }
    for (number, handles) in handles {
      guard let link = links[number] else { continue }
      guard link.backlogBytes < LinkLimits.highWaterBytes else {
        // Only the last state counts: it is told when there is room.
        for handle in handles { board.owe(PresenceChange.Target(link: number, handle: handle)) }
        metrics.lagged.add(handles.count)
        continue
      }
      link.send(
        PresenceChanged(version: change.version, handles: handles, state: change.state, chats: change.chats))
    }
  }

  /// To every gateway: who is in the chat, they know. The first to go when there is too much.
  private func send(_ indicator: TypingChanged) {
    metrics.typing.add(1)
    for link in links.values {
      guard link.backlogBytes < LinkLimits.lowWaterBytes else {
        metrics.droppedTyping.add(1)
        continue
      }
      link.send(indicator)
    }
  }

  // MARK: - What the file knows

  /// Asks the file about users whom somebody watches or who change something: of so many at a time, since each is
  /// wanted once, however often it is watched.
  private func ask() {
    guard !isLoading else { return }
    let wanted = board.takeWanted(max: PresenceLimits.usersLoadedMax)
    guard !wanted.isEmpty else { return }
    isLoading = true
    find(wanted.map(\.id)) { room, result in
      room.isLoading = false
      switch result {
      case .success(let found):
        // A question to the file may have been quicker, and the user gone since.
        for ((index, id), stored) in zip(wanted, found) where room.board.user(id) == index {
          room.loaded(index, stored)
        }
      case .failure:
        room.refuseUpdates(wanted.map(\.index))
        // Whoever watches is told when the file can be read again.
        let bound = NIOLoopBound(room, eventLoop: room.context.eventLoop)
        room.context.eventLoop.scheduleTask(in: .seconds(1)) {
          for (index, id) in wanted where bound.value.board.user(id) == index {
            bound.value.board.notLoaded(index)
            if bound.value.endedPartnerships[index] != nil { bound.value.board.want(index) }
          }
          bound.value.tell()
        }
      }
      room.tell()
    }
  }

  /// Reads users of the file, in their order; answers on the loop.
  func find(
    _ users: [String], isLate: @escaping @Sendable () -> Bool = { false },
    _ done: @escaping (PresenceRoom, Result<[StoredUser], any Error>) -> Void
  ) {
    let bound = NIOLoopBound((self, done), eventLoop: context.eventLoop)
    store.find(users, isLate: isLate) { [eventLoop = context.eventLoop] result in
      eventLoop.execute {
        let (room, done) = bound.value
        room.noteRead(result)
        done(room, result)
      }
    }
  }

  private func noteRead(_ result: Result<[StoredUser], any Error>) {
    switch result {
    case .success:
      if readsFail { context.log.notice("the presence registry can be read again") }
      readsFail = false
    case .failure(let error) where error is PresenceStore.TooLate: break
    case .failure(let error):
      metrics.failedReads.add(1)
      if !readsFail {
        context.log.error(
          "the presence registry cannot be read: users who are not here look as if they had never been",
          metadata: ["file": "\(store.path)", "reason": "\(error)"])
      }
      readsFail = true
    }
  }
}
