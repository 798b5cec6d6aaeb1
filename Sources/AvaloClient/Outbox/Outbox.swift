import AvaloCore

/// What a user does while there is no connection, kept until it is told: in order, and once, since each thing carries its
/// own name or may be said twice.
///
///     let outbox = Outbox(client, store: try FileOutboxStore(path: folder + "/outbox"))
///     let eventID = try await outbox.publish(EventDraft(.chatMessage, to: .topic("chat:c1"), payload: payload))
///     for await event in outbox.events { … }
///
/// It sends when its client is connected, one thing after the other; the next one waits for the answer to the one before.
/// Of many that have waited some go at once, and then 50 a second.
public actor Outbox {
  /// What becomes of entries, for one reader; the newest 1 000 wait for it.
  public nonisolated let events: AsyncStream<OutboxEvent>
  private let client: RealtimeClient
  private let store: any OutboxStore
  private let entriesMax: Int
  private let tell: AsyncStream<OutboxEvent>.Continuation
  private var isConnected = false
  /// Counts connections, as they are heard of.
  private var connection = 0
  /// The connection that could not help, if one could not.
  private var helpless: Int?
  private(set) var isDraining = false
  private var drainsAgain = false
  private var isClosed = false
  private var failures = 0
  /// When the next try may be, whatever is added meanwhile: another connection ends the wait of our own, not the server's.
  private var notBefore: (own: Int64, servers: Int64) = (0, 0)
  private var pace = OutboxPace()
  private var retry: (due: Int64, task: Task<Void, Never>)?
  /// Told what became of them, and still in the store, which could not let them go.
  private var finished: Set<Int64> = []
  private var isStuck = false
  private var watch: Task<Void, Never>?

  /// - `entriesMax`: entries of one user.
  public init(
    _ client: RealtimeClient, store: any OutboxStore = MemoryOutboxStore(),
    entriesMax: Int = ClientLimits.outboxEntriesMax
  ) {
    self.client = client
    self.store = store
    self.entriesMax = entriesMax
    (events, tell) = AsyncStream.makeStream(
      of: OutboxEvent.self, bufferingPolicy: .bufferingNewest(ClientLimits.outboxEventsMax))
    // Ends with the client, or with `close`.
    Task { [weak self, client] in
      let states = await client.states
      await self?.follow(states)
    }
  }

  deinit {
    watch?.cancel()
    retry?.task.cancel()
    tell.finish()
  }

  // MARK: What to tell

  /// Publishes as soon as it can. Returns when the event is kept here, with its id. Throws ``ClientError``; `refused` with
  /// `INVALID_ARGUMENT` when its payload is more than 64 KiB.
  @discardableResult
  public func publish(_ event: EventDraft) async throws -> String {
    try event.check()
    var event = event
    // When it was said, not when it was told.
    event.timestampMilliseconds = event.timestampMilliseconds ?? client.clock.wall
    let ttl = event.ttlSeconds.map { Int64($0).clampedThousandfold }
    try await add("publishRealtimeEvent", event.data, type: event.type.wireName, ttlMilliseconds: ttl)
    return event.eventID
  }

  /// The user has read the chat up to that message. Throws ``ClientError``.
  public func sendReadReceipt(in chatID: String, upTo messageID: String) async throws {
    try await add("sendReadReceiptV1", ReadResult.data(chatID, upTo: messageID))
  }

  /// The user has read all of the chat. Throws ``ClientError``.
  public func markChatAsRead(_ chatID: String) async throws {
    try await add("markChatAsReadV1", ReadResult.data(chatID), key: "read:" + chatID)
  }

  /// Says how the user is; of several words only the last one is told. Throws ``ClientError``.
  public func updatePresence(_ update: PresenceUpdate) async throws {
    try await add("updatePresenceV1", update.data, key: "presence")
  }

  /// Keeps any call that may be made twice.
  ///
  /// - `key`: of several with one key only the last is told.
  /// - `type`: decides how long it is worth telling, unless `ttlMilliseconds` says so.
  ///
  /// Throws ``ClientError``: `refused` with `RESOURCE_EXHAUSTED` when there is no room, with `INVALID_ARGUMENT` when it is
  /// too large; `storage` when it cannot be kept.
  public func add(
    _ name: String, _ data: JSONText, key: String? = nil, type: String? = nil, ttlMilliseconds: Int64? = nil
  ) async throws {
    guard let user = await client.userID else { throw ClientError.misused("client.connect(userID:token:) comes first") }
    guard data.bytes.count <= ClientLimits.outboxEntryBytesMax else {
      throw ClientError.refused(
        .over(
          .messageBytes, max: ClientLimits.outboxEntryBytesMax,
          "an entry of \(data.bytes.count) bytes, \(ClientLimits.outboxEntryBytesMax) are allowed"))
    }
    let ttl = ttlMilliseconds ?? OutboxPolicy.ttlMilliseconds(type ?? name)
    let entry = OutboxEntry(
      user: user, name: name, data: data, key: key, expiresAtMilliseconds: client.clock.wall.clampedSum(ttl))
    let isKept: Bool
    do {
      isKept = try await store.add(entry, max: entriesMax)
    } catch let error as ClientError {
      throw error
    } catch {
      throw ClientError.storage("cannot be kept: \(error)")
    }
    guard isKept else {
      throw ClientError.refused(
        CallError(.resourceExhausted, "\(entriesMax) things wait for a connection already"))
    }
    drainSoon()
  }

  /// What waits for the user who is connected, in its order.
  public func pending() async throws -> [OutboxEntry] {
    guard let user = await client.userID else { return [] }
    return try await store.all(of: user).filter { !finished.contains($0.sequence) }
  }

  /// Sends nothing any more, and ends ``events``; what waits stays where it is, for the next outbox. What is on its way is
  /// still answered, and told to nobody.
  public func close() {
    isClosed = true
    isConnected = false
    watch?.cancel()
    retry?.task.cancel()
    tell.finish()
  }

  // MARK: Telling it

  private func follow(_ states: AsyncStream<ConnectionState>) {
    guard !isClosed else { return }
    // Cancelled by `close`, and with the outbox.
    watch = Task { [weak self] in
      for await state in states { await self?.take(state) }
    }
  }

  private func take(_ state: ConnectionState) {
    guard !isClosed else { return }
    isConnected = state == .connected
    guard isConnected else { return }
    connection += 1
    failures = 0
    notBefore.own = 0
    drainSoon()
  }

  private var maySend: Bool { isConnected && helpless != connection }

  private func drainSoon() {
    guard maySend else { return }
    guard !isDraining else {
      drainsAgain = true
      return
    }
    let due = max(notBefore.own, notBefore.servers)
    guard due <= client.clock.now else { return drainLater(due) }
    retry?.task.cancel()
    retry = nil
    isDraining = true
    drainsAgain = false
    // Ends when nothing is left, when one has to wait, and with the connection.
    Task {
      await drain()
      isDraining = false
      if drainsAgain { drainSoon() }
    }
  }

  private func drainLater(_ due: Int64) {
    guard retry?.due != due else { return }
    retry?.task.cancel()
    // Cancelled by whatever begins first, by `close`, and with the outbox.
    let task = Task { [weak self, clock = client.clock] in
      guard (try? await clock.sleep(until: due)) != nil else { return }
      await self?.tryAgain(due)
    }
    retry = (due, task)
  }

  private func tryAgain(_ due: Int64) {
    guard retry?.due == due else { return }
    retry = nil
    drainSoon()
  }

  /// Tells one after the other, until none is left or one has to wait.
  private func drain() async {
    do {
      while maySend {
        if pace.next > client.clock.now {
          try? await client.clock.sleep(until: pace.next)
          continue
        }
        guard let user = await client.userID, let entry = try await store.first(of: user) else { break }
        if finished.contains(entry.sequence) {
          try await letGo(entry)
        } else if entry.expiresAtMilliseconds <= client.clock.wall {
          try await finish(entry, .expired(entry))
        } else if maySend {
          guard try await send(entry) else { return }
        }
      }
      isStuck = false
    } catch {
      if !isStuck { tell.yield(.stuck("\(error)")) }
      isStuck = true
      wait(after: error)
    }
  }

  /// Whether to go on with the next one.
  private func send(_ entry: OutboxEntry) async throws -> Bool {
    let number = connection
    pace.take(client.clock.now)
    let answer: JSONText
    do {
      answer = try await client.call(entry.name, entry.data, as: entry.user)
    } catch {
      switch OutboxPolicy.outcome(error) {
      case .wait:
        // Of that connection; there may be another one already.
        helpless = number
        return false
      case .retry:
        wait(after: error)
        return false
      case .drop:
        try await finish(entry, .failed(entry, error as? ClientError ?? .broken("\(error)")))
        return true
      }
    }
    failures = 0
    try await finish(entry, .sent(entry, answer: answer))
    return true
  }

  /// It is told first: a store that cannot let it go hides from nobody what became of it.
  private func finish(_ entry: OutboxEntry, _ event: OutboxEvent) async throws {
    finished.insert(entry.sequence)
    tell.yield(event)
    try await letGo(entry)
  }

  private func letGo(_ entry: OutboxEntry) async throws {
    try await store.remove(entry)
    finished.remove(entry.sequence)
    isStuck = false
  }

  private func wait(after error: any Error) {
    failures += 1
    let now = client.clock.now
    notBefore.own = now + OutboxPolicy.delay(failures, error, draw: { Double.random(in: 0..<1) })
    if let told = (error as? ClientError)?.retryAfterMilliseconds { notBefore.servers = now + Int64(told) }
    drainLater(max(notBefore.own, notBefore.servers))
  }
}
