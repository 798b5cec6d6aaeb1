import AvaloCore

/// What a user does while there is no connection, kept until it is told: in order, and once, since each thing carries its
/// own name or may be said twice.
///
///     let outbox = Outbox(client, store: try FileOutboxStore(path: folder + "/outbox"))
///     let eventID = try await outbox.publish(EventDraft(.chatMessage, to: .topic("chat:c1"), payload: payload))
///     for await event in outbox.events { … }
///
/// It sends when its client is connected, one thing after the other; the next one waits for the answer to the one before.
public actor Outbox {
  /// What becomes of entries, for one reader; the newest 1 000 wait for it.
  public nonisolated let events: AsyncStream<OutboxEvent>
  private let client: RealtimeClient
  private let store: any OutboxStore
  private let entriesMax: Int
  private let tell: AsyncStream<OutboxEvent>.Continuation
  private var isConnected = false
  private var isDraining = false
  private var drainsAgain = false
  private var isClosed = false
  private var failures = 0
  private var retry: Task<Void, Never>?
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
    retry?.cancel()
    tell.finish()
  }

  // MARK: What to tell

  /// Publishes as soon as it can. Returns when the event is kept here, with its id. Throws ``ClientError``.
  @discardableResult
  public func publish(_ event: EventDraft) async throws -> String {
    var event = event
    // When it was said, not when it was told.
    event.timestampMilliseconds = event.timestampMilliseconds ?? client.clock.wall
    let ttl = event.ttlSeconds.map { Int64($0) * 1_000 }
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
        CallError(.invalidArgument, "an entry of more than \(ClientLimits.outboxEntryBytesMax) bytes"))
    }
    let ttl = ttlMilliseconds ?? OutboxPolicy.ttlMilliseconds(type ?? name)
    let entry = OutboxEntry(
      user: user, name: name, data: data, key: key, expiresAtMilliseconds: client.clock.wall + ttl)
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
    return try await store.all(of: user)
  }

  /// Sends nothing any more; what waits stays where it is.
  public func close() {
    isClosed = true
    isConnected = false
    watch?.cancel()
    retry?.cancel()
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
    failures = 0
    drainSoon()
  }

  private func drainSoon() {
    guard isConnected else { return }
    guard !isDraining else {
      drainsAgain = true
      return
    }
    retry?.cancel()
    isDraining = true
    // Ends when nothing is left, when one has to wait, and with the connection.
    Task {
      repeat {
        drainsAgain = false
        await drain()
      } while drainsAgain && isConnected
      isDraining = false
    }
  }

  /// Tells one after the other, until none is left or one has to wait.
  private func drain() async {
    do {
      while isConnected, let user = await client.userID, let entry = try await store.first(of: user) {
        guard entry.expiresAtMilliseconds > client.clock.wall else {
          try await store.remove(entry)
          tell.yield(.expired(entry))
          continue
        }
        guard try await send(entry) else { return }
      }
    } catch {
      tell.yield(.stuck("\(error)"))
    }
  }

  /// Whether to go on with the next one.
  private func send(_ entry: OutboxEntry) async throws -> Bool {
    let answer: JSONText
    do {
      answer = try await client.call(entry.name, entry.data, as: entry.user)
    } catch {
      switch OutboxPolicy.outcome(error) {
      case .wait: return false
      case .retry:
        failures += 1
        tryAgain(after: OutboxPolicy.delay(failures, error, draw: { Double.random(in: 0..<1) }))
        return false
      case .drop:
        try await store.remove(entry)
        tell.yield(.failed(entry, error as? ClientError ?? .broken("\(error)")))
        return true
      }
    }
    failures = 0
    try await store.remove(entry)
    tell.yield(.sent(entry, answer: answer))
    return true
  }

  private func tryAgain(after delay: Int64) {
    drainsAgain = false
    // Cancelled by whatever begins again first, by `close`, and with the outbox.
    retry = Task { [weak self, clock = client.clock] in
      guard (try? await clock.sleep(until: clock.now + delay)) != nil else { return }
      await self?.drainSoon()
    }
  }
}
