/// Updates and their readers.
extension RealtimeClient {
  struct WaitingReader {
    var matches: @Sendable (RealtimeUpdate) -> Bool
    var continuation: CheckedContinuation<RealtimeUpdate?, Never>
  }

  /// Everything that happens, in order. Each sequence gets all of it from what waits now on; see ``RealtimeUpdates``.
  /// From this call on the client knows that the application reads all types, as by ``events(of:)``.
  public nonisolated var updates: RealtimeUpdates<RealtimeUpdate> {
    tell(.typeIsRead(nil))
    return RealtimeUpdates(client: self) { $0 }
  }

  /// Events alone, in order. From this call on the client knows that the application reads all types, as by ``events(of:)``.
  public nonisolated var events: RealtimeUpdates<RealtimeEvent> {
    tell(.typeIsRead(nil))
    return RealtimeUpdates(client: self) { if case .event(let event) = $0 { event } else { nil } }
  }

  /// Events of one type alone, in order. From this call on the client knows that the application reads the type: what comes
  /// of it waits for its reader, also while other loops run. Call it for each type before the first loop, or soon after.
  public nonisolated func events(of type: EventType) -> RealtimeUpdates<RealtimeEvent> {
    tell(.typeIsRead(type.wireName))
    return RealtimeUpdates(client: self) { update in
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
    // It has left already, by cancellation.
    guard queue.hasReader(id) else { return nil }
    let update = queue.next(for: id, where: matches)
    collectProcessed()
    if update != nil || Task.isCancelled { return update }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let reader = WaitingReader(matches: matches, continuation: continuation)
        // An iterator is asked by one at a time; whoever asked before is not left waiting.
        readers.updateValue(reader, forKey: id)?.continuation.resume(returning: nil)
      }
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

  func collectProcessed() {
    let now = clock.now
    let passed = transport.isPolled ? queue.passed : [:]
    for reached in queue.processed(now) { acknowledgements.add(reached, now: now) }
    if transport.isPolled, queue.passed != passed { acknowledgements.hurry(now) }
    holdBack()
    schedule()
  }

  func flushAcknowledgements() {
    let isConnected = machine.phase == .connected
    let pending = acknowledgements.take(isConnected: isConnected)
    // A poll that asks for more says that all before is processed. What waits for a reader cannot hold it up: nothing else
    // would come.
    let positions = transport.isPolled ? queue.passed : pending
    if isConnected, !positions.isEmpty { link?.send(.acknowledge(positions)) }
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
      return try await cursors.load(user: user, device: options.deviceID)
    } catch {
      // The server's own cursor stands in.
      tellReaders(Inbox.Item(update: .complaint(.storage("positions cannot be read: \(error)"))))
      return [:]
    }
  }

  /// Saves what there is; what comes while it is saved is saved after it, of whichever user.
  private func saveCursors() {
    guard let cursors = options.cursors, let userID, let positions = acknowledgements.takeUnsaved() else { return }
    unsaved[userID] = positions
    guard saving == nil else { return }
    // Ends when all is saved.
    saving = Task {
      while let (user, positions) = unsaved.popFirst() {
        do {
          try await cursors.save(positions, user: user, device: options.deviceID)
          savingFailed = nil
        } catch {
          // Once, and not with every position.
          let why = "positions cannot be kept: \(error)"
          if why != savingFailed { tellReaders(Inbox.Item(update: .complaint(.storage(why)))) }
          savingFailed = why
        }
      }
      saving = nil
    }
  }

  func waitUntilSaved() async {
    while let saving { await saving.value }
  }
}
