@_exported import AvaloCore

/// A connection to Avalo Realtime that looks after itself: it comes back after any loss where it was, hands each event to
/// its readers once, and acknowledges what they have processed.
///
///     let client = RealtimeClient(try ClientOptions(url: "https://rt.example.com", deviceID: installation))
///     try await client.connect(userID: "ann", token: .provider { refresh in try await session.token(refresh) })
///     for await event in client.events {
///       show(event)
///     }
///
/// An event is processed when its reader asks for the next one. It is an actor: what it decides is decided by pure
/// values, one input after the other; sockets, timers and tokens are asked to do what comes of it.
public actor RealtimeClient {
  /// The name of this device.
  public nonisolated let deviceID: String
  let options: ClientOptions
  let clock: any ClientClock
  let http: HTTPClient
  let transports: [any RealtimeTransport]
  private let inputs: AsyncStream<Input>.Continuation

  var machine: ConnectionMachine
  var liveness: Liveness?
  var link: (any TransportLink)?
  /// Of the link.
  var frames = PendingFrames()
  var transport: any RealtimeTransport { transports[machine.ladder.current] }
  /// What the server said of coming back on this connection.
  var retryAfterMilliseconds: Int?
  /// How the last connection ended, or why there was none.
  public internal(set) var lastEnding = TransportEnding()
  /// When to see whether a better transport passes.
  var upgradeDue: Int64?

  var inbox: Inbox?
  var queue = UpdateQueue()
  var acknowledgements = Acknowledgements()
  /// What the connection began with.
  var requested: (topics: [String], positions: [String: Position]) = ([], [:])
  /// The last connection there was of this user, in the server's words.
  var lastReady: (connectionID: String, isPolled: Bool)?
  /// Tells the server what was processed and no connection has said.
  var saying: Task<Void, Never>?
  var readers: [UpdateQueue.ReaderID: WaitingReader] = [:]
  var isReading = true
  var saving: Task<Void, Never>?
  /// Positions that are to be saved, by user.
  var unsaved: [String: [String: Position]] = [:]
  /// Why they could not be, the last time.
  var savingFailed: String?

  var topics: TopicInterest
  var calls = PendingCalls<WaitingCall>()
  var typing = TypingThrottle()
  var tokens: TokenSource?
  /// For the attempt.
  var fetching: Task<Void, Never>?
  /// For the connection.
  var refreshing: Task<Void, Never>?
  /// The one that came last, for calls by the way.
  var lastToken: String?

  /// Who is, or was last, to be connected.
  public private(set) var userID: String?
  /// The server's name for the connection; `nil` while there is none.
  public internal(set) var connectionID: String?
  /// How the connection is.
  public private(set) var state = ConnectionState.disconnected(.client)
  private var waiting: [Int: CheckedContinuation<Void, any Error>] = [:]
  private var lastWaiting = 0
  private var watchers: [Int: AsyncStream<ConnectionState>.Continuation] = [:]
  private var lastWatcher = 0
  /// Who is to be connected when their positions are read; `nil` when nobody is any more.
  private var wanted: String?
  private var timer: (due: Int64, task: Task<Void, Never>)?
  private(set) var isShutDown = false

  /// What comes from elsewhere, in order.
  enum Input: Sendable {
    case transport(generation: Int, TransportEvent)
    case readerLeft(UpdateQueue.ReaderID)
    /// All of them when it is `nil`.
    case typeIsRead(String?)
    case watcherLeft(Int)
    case connectGivenUp(Int)
    case callGivenUp(Int)
  }

  /// Does nothing yet: see ``connect(userID:token:)``.
  public init(_ options: ClientOptions) {
    self.init(options, clock: SystemClock(), draw: { Double.random(in: 0..<1) })
  }

  /// - `draw`: random numbers, 0 ≤ x < 1.
  init(_ options: ClientOptions, clock: any ClientClock, draw: @escaping @Sendable () -> Double) {
    self.options = options
    self.clock = clock
    deviceID = options.deviceID ?? randomName("dev_")
    http = HTTPClient(options.endpoint, security: options.security)
    transports =
      options.transports
      ?? [
        WebSocketTransport(security: options.security), StreamTransport(security: options.security),
        PollTransport(security: options.security),
      ]
    machine = ConnectionMachine(
      reconnectInterval: options.reconnectIntervalMilliseconds, attemptsMax: options.reconnectAttemptsMax,
      transports: transports.count, draw: draw)
    topics = TopicInterest(options.topics)
    let (stream, inputs) = AsyncStream.makeStream(of: Input.self)
    self.inputs = inputs
    // Ends with the client, which finishes the stream.
    Task { [weak self] in
      for await input in stream { await self?.take(input) }
    }
  }

  deinit {
    link?.close()
    frames.detach()
    timer?.task.cancel()
    fetching?.cancel()
    refreshing?.cancel()
    inputs.finish()
    for watcher in watchers.values { watcher.finish() }
  }

  // MARK: Connecting

  /// Connects, and stays connected until ``disconnect()``. Called again while it connects it waits for the same
  /// connection; with another token it goes on with that one, and with another user it begins anew: with the topics of its
  /// options, and nothing of what was subscribed to or watched before.
  ///
  /// Returns when events are coming in. Throws ``ClientError/disconnected(_:)`` when that will not be: refused, given
  /// up, or disconnected meanwhile.
  public func connect(userID: String, token: TokenSource) async throws {
    guard !isShutDown else { throw ClientError.misused("the client was shut down") }
    wanted = userID
    if userID != self.userID {
      let positions = await kept(for: userID)
      // Disconnected meanwhile, or somebody else is wanted.
      guard wanted == userID else { throw ClientError.disconnected(.client) }
      // Another call may have come first.
      if userID != self.userID { begin(as: userID, positions) }
    }
    take(token, isAnother: false)
    try await connect()
  }

  private func begin(as userID: String, _ positions: [String: Position]) {
    endConnection()
    if self.userID != nil {
      queue.clear()
      topics = TopicInterest(options.topics)
      typing = TypingThrottle()
    }
    self.userID = userID
    inbox = Inbox(userID: userID, positions: positions)
    acknowledgements = Acknowledgements(positions: positions)
    lastReady = nil
  }

  /// Connects as last time.
  public func connect() async throws {
    guard let tokens, inbox != nil, !isShutDown else {
      throw ClientError.misused("connect(userID:token:) comes first")
    }
    switch machine.phase {
    case .connected: return
    // Single-flight: one attempt at a time, whoever asks for it.
    case .token, .opening: break
    default: run { machine, now in machine.connect(isRefreshable: tokens.isRefreshable, now: now) }
    }
    try await connected()
  }

  /// Ends the connection; nothing comes back until `connect`. What was processed is acknowledged: over a WebSocket before,
  /// over a stream or polls, or while there is no connection, behind it, by a request that may fail. What the server does not
  /// hear comes again; where that matters, ``ClientOptions/cursors`` keep the positions.
  public func disconnect() {
    wanted = nil
    endConnection()
  }

  /// Ends the connection, and every sequence of updates, for good. Returns when nothing of it is left. What was processed
  /// is acknowledged as by ``disconnect()``, and kept in ``ClientOptions/cursors``.
  public func shutdown() async {
    let last = link
    disconnect()
    isShutDown = true
    for reader in readers.values { reader.continuation.resume(returning: nil) }
    readers = [:]
    for watcher in watchers.values { watcher.finish() }
    watchers = [:]
    await last?.waitUntilClosed()
    await saying?.value
    await waitUntilSaved()
    await http.close()
  }

  /// There is a network again, or another one: tries at once, or finds out whether the connection has survived.
  public func networkBecameAvailable() { run { machine, now in machine.networkBecameAvailable(now) } }

  /// There is no network: attempts wait for it, and are not counted.
  public func networkBecameUnavailable() { run { machine, _ in machine.networkBecameUnavailable() } }

  /// The application is looked at again, or the machine has slept: as ``networkBecameAvailable()``, if there is a network.
  public func wake() { run { machine, now in machine.wake(now) } }

  // MARK: What is known

  /// Round trip; `nil` before the first.
  public var latency: Duration? { liveness?.latency.map { .milliseconds($0) } }
  /// Failures since the connection was last stable.
  public var reconnectAttempts: Int { machine.attempts }
  /// The transport in use, or next to be tried.
  public var transportName: String { transport.name }

  /// Each change of state, beginning with how it is.
  public var states: AsyncStream<ConnectionState> {
    let (stream, continuation) = AsyncStream.makeStream(of: ConnectionState.self, bufferingPolicy: .bufferingNewest(16))
    continuation.yield(state)
    guard !isShutDown else {
      continuation.finish()
      return stream
    }
    lastWatcher += 1
    let number = lastWatcher
    watchers[number] = continuation
    continuation.onTermination = { [inputs] _ in inputs.yield(.watcherLeft(number)) }
    return stream
  }

  // MARK: Inputs and what comes of them

  /// From anywhere.
  nonisolated func tell(_ input: Input) { inputs.yield(input) }

  private func take(_ input: Input) {
    switch input {
    case .transport(let generation, let event): take(event, of: generation)
    case .readerLeft(let id): removeReader(id)
    case .typeIsRead(let type): queue.expect(type)
    case .watcherLeft(let number): watchers[number] = nil
    case .connectGivenUp(let number): waiting.removeValue(forKey: number)?.resume(throwing: CancellationError())
    case .callGivenUp(let number): giveUp(number)
    }
    schedule()
  }

  /// Hands an input to the machine and does what comes of it.
  func run(_ input: (inout ConnectionMachine, _ now: Int64) -> [ConnectionMachine.Action]) {
    let before = machine.phase
    for action in input(&machine, clock.now) { perform(action) }
    settle()
    if machine.phase == .waiting, before != .waiting, let due = machine.due {
      tellReaders(Inbox.Item(update: .lost(lastEnding, retryAfterMilliseconds: Int(max(0, due - clock.now)))))
    }
    schedule()
  }

  private func settle() {
    let now = machine.state
    guard now != state else { return }
    state = now
    for watcher in watchers.values { watcher.yield(now) }
    tellReaders(Inbox.Item(update: .state(now)))
    switch now {
    case .connected: answerWaiting(.success(()))
    case .disconnected(let reason): answerWaiting(.failure(ClientError.disconnected(reason)))
    case .connecting, .reconnecting: break
    }
  }

  private func answerWaiting(_ result: Result<Void, any Error>) {
    for one in waiting.values { one.resume(with: result) }
    waiting = [:]
  }

  private func connected() async throws {
    if case .disconnected(let reason) = state { throw ClientError.disconnected(reason) }
    if state == .connected { return }
    try Task.checkCancellation()
    lastWaiting += 1
    let number = lastWaiting
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { waiting[number] = $0 }
    } onCancel: {
      tell(.connectGivenUp(number))
    }
  }

  // MARK: Time

  /// Sees to it that ``tick()`` is called when something is due.
  func schedule() {
    let due = [machine.due, livenessDue, acknowledgements.due, calls.least(\.due), upgradeDue, queue.due].compactMap(
      \.self
    ).min()
    guard due != timer?.due else { return }
    timer?.task.cancel()
    timer = due.map { due in
      // Cancelled by the next one, and with the client.
      (
        due,
        Task { [weak self, clock] in
          guard (try? await clock.sleep(until: due)) != nil else { return }
          await self?.tick(due)
        }
      )
    }
  }

  private func tick(_ due: Int64) {
    guard timer?.due == due else { return }
    timer = nil
    let now = clock.now
    if machine.phase == .token || machine.phase == .opening {
      lastEnding = TransportEnding(text: "no connection was made in time")
    }
    run { machine, now in machine.tick(now) }
    watchLiveness()
    if let due = queue.due, due <= now {
      queue.expire(now)
      collectProcessed()
    }
    if let due = acknowledgements.due, due <= now { flushAcknowledgements() }
    expireCalls(now)
    if let due = upgradeDue, due <= now { tryBetterTransport() }
    schedule()
  }
}

/// A name that nobody else has.
func randomName(_ prefix: String) -> String {
  let digits = (0..<2).map { _ in
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
  return prefix + digits.joined()
}
