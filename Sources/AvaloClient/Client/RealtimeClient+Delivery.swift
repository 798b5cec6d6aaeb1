/// Updates and their readers.
extension RealtimeClient {
  struct WaitingReader {
    var matches: @Sendable (RealtimeUpdate) -> Bool
    var continuation: CheckedContinuation<RealtimeUpdate?, Never>
  }

  /// Everything that happens, in order. Each sequence gets all of it from what waits now on; see ``RealtimeUpdates``.
  public nonisolated var updates: RealtimeUpdates<RealtimeUpdate> { RealtimeUpdates(client: self) { $0 } }

  /// Events alone, in order.
  public nonisolated var events: RealtimeUpdates<RealtimeEvent> {
    RealtimeUpdates(client: self) { if case .event(let event) = $0 { event } else { nil } }
  }

  /// Events of one type alone, in order.
  public nonisolated func events(of type: EventType) -> RealtimeUpdates<RealtimeEvent> {
    RealtimeUpdates(client: self) { update in
      if case .event(let event) = update, event.type == type.wireName { event } else { nil }
    }
  }

  // MARK: Readers

  func addReader() -> UpdateQueue.ReaderID { queue.addReader() }

  func removeReader(_ id: UpdateQueue.ReaderID) {
    readers.removeValue(forKey: id)?.continuation.resume(returning: nil)
    queue.removeReader(id)
    collectProcessed()
  }

  /// The next update that matches; what the reader took before is processed now. `nil` at the end.
  func next(
    _ id: UpdateQueue.ReaderID, _ matches: @escaping @Sendable (RealtimeUpdate) -> Bool
  ) async -> RealtimeUpdate? {
    if isShutDown {
      finish(id)
      // Whoever sees the end may begin anew from what is kept.
      flushAcknowledgements()
      await waitUntilSaved()
      return nil
    }
    let update = queue.next(for: id, where: matches)
    collectProcessed()
    if update != nil || Task.isCancelled { return update }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { readers[id] = WaitingReader(matches: matches, continuation: $0) }
    } onCancel: {
      tell(.readerLeft(id))
    }
  }

  func finish(_ id: UpdateQueue.ReaderID) {
    queue.finish(id)
    collectProcessed()
  }

  /// Puts something into the queue, and wakes who waits for it.
  func tellReaders(_ item: Inbox.Item) {
    queue.append(item)
    for (id, reader) in readers {
      guard let update = queue.next(for: id, where: reader.matches) else { continue }
      readers[id] = nil
      reader.continuation.resume(returning: update)
    }
    // Readers may have passed it over.
    collectProcessed()
  }

  // MARK: What was processed

  private func collectProcessed() {
    for reached in queue.processed() { acknowledgements.add(reached, now: clock.now) }
    holdBack()
    schedule()
  }

  func flushAcknowledgements() {
    let positions = acknowledgements.take()
    guard !positions.isEmpty else { return }
    // Over a lesser transport nothing is sent by it; it waits for this to ask for more.
    if isDuplex || !transport.isDuplex { link?.send(.acknowledge(positions)) }
    saveCursors()
  }

  /// Reads the socket or not. What waits for its reader must not grow without end; but the answer to a call lies behind
  /// it, and the reader may be the one who waits for that.
  func holdBack() {
    guard let link, machine.phase == .connected else { return }
    let limit = isReading ? ClientLimits.updatesHigh : ClientLimits.updatesLow
    let wish = queue.count < limit || !calls.isEmpty
    guard wish != isReading else { return }
    isReading = wish
    link.setReading(wish)
  }

  // MARK: Positions that stay

  func kept(for user: String) async -> [String: Position] {
    guard let cursors = options.cursors else { return [:] }
    // Theirs may be among what is saved just now.
    await waitUntilSaved()
    do {
      return try await cursors.load(user: user)
    } catch {
      // The server's own cursor stands in.
      tellReaders(Inbox.Item(update: .complaint(.storage("positions cannot be read: \(error)"))))
      return [:]
    }
  }

  /// Saves what there is; what comes while it is saved is saved after it, of whichever user.
  private func saveCursors() {
    guard let cursors = options.cursors, let userID else { return }
    unsaved[userID] = acknowledgements.positions
    guard saving == nil else { return }
    // Ends when all is saved.
    saving = Task {
      while let (user, positions) = unsaved.popFirst() {
        do {
          try await cursors.save(positions, user: user)
        } catch {
          tellReaders(Inbox.Item(update: .complaint(.storage("positions cannot be kept: \(error)"))))
        }
      }
      saving = nil
    }
  }

  func waitUntilSaved() async {
    while let saving { await saving.value }
  }
}
