/// Does what the machine says: tokens, transports, pings. Nothing is decided here but which of the pure values is asked.
extension RealtimeClient {
  func perform(_ action: ConnectionMachine.Action) {
    switch action {
    case .fetchToken(let generation, let force): fetchToken(generation, force)
    case .open(let generation, _): open(generation)
    case .drop: drop()
    case .probe:
      liveness?.probe(clock.now)
      watchLiveness()
    }
  }

  // MARK: Tokens

  /// Goes on with another token; also after the last one was refused. A stream or polls are begun again with it.
  public func setToken(_ source: TokenSource) { take(source, isAnother: true) }

  /// - `isAnother`: a function is not the one that is known. Otherwise nobody can tell.
  func take(_ source: TokenSource, isAnother: Bool) {
    let isKnown = tokens?.isSure(toBe: source) == true
    let mayBeTheSame = tokens?.isRefreshable == true && source.isRefreshable && !isAnother
    tokens = source
    switch machine.phase {
    case .connected:
      run { machine, now in machine.newToken(isRefreshable: source.isRefreshable, now: now) }
      if !isKnown { refreshToken(force: false) }
    case .token, .opening:
      guard !isKnown, !mayBeTheSame else { return }
      run { machine, now in machine.connect(isRefreshable: source.isRefreshable, now: now) }
    case .idle, .waiting, .offline, .stopped:
      lastToken = nil
      run { machine, now in machine.newToken(isRefreshable: source.isRefreshable, now: now) }
    }
  }

  private func fetchToken(_ generation: Int, _ force: Bool) {
    guard let source = tokens else { return }
    // Cancelled when the attempt is over; it holds nobody meanwhile, however long the application takes.
    fetching = Task { [weak self] in
      let token: Result<String?, any Error>
      do {
        token = .success(try await source.get(forceRefresh: force))
      } catch {
        token = .failure(error)
      }
      await self?.take(token, of: generation)
    }
  }

  private func take(_ token: Result<String?, any Error>, of generation: Int) {
    guard generation == machine.generation else { return }
    switch token {
    case .success(let token?):
      lastToken = token
      run { machine, now in machine.tokenReady(generation, now: now) }
    case .success(nil):
      lastToken = nil
      run { machine, now in machine.tokenFailed(generation, isSignedOut: true, now: now) }
    case .failure(let error):
      lastEnding = TransportEnding(text: "no token could be had: \(error)")
      run { machine, now in machine.tokenFailed(generation, isSignedOut: false, now: now) }
    }
  }

  /// Gives the connection a new token, without ending it; asks again until there is one, or the connection ends.
  private func refreshToken(force: Bool) {
    let generation = machine.generation
    guard let source = tokens else { return }
    refreshing?.cancel()
    // Cancelled by the next one, and with the connection.
    refreshing = Task { [weak self, clock] in
      while !Task.isCancelled {
        do {
          let token = try await source.get(forceRefresh: force)
          await self?.takeFresh(token, of: generation, isExpiring: force)
          return
        } catch {
          guard let due = await self?.noFreshToken(error, of: generation) else { return }
          guard (try? await clock.sleep(until: due)) != nil else { return }
        }
      }
    }
  }

  private func takeFresh(_ token: String?, of generation: Int, isExpiring: Bool) {
    guard let token, generation == machine.generation else { return }
    let isAnother = token != lastToken
    lastToken = token
    if isDuplex {
      link?.send(.connect(ConnectRequest(.token(token))))
    } else if isAnother, !isExpiring {
      // One that ends soon is left to the server's end, which asks again: tokens of a few seconds would leave no peace.
      run { machine, now in machine.renew(now: now) }
    }
  }

  /// Answers when to ask again.
  private func noFreshToken(_ error: any Error, of generation: Int) -> Int64? {
    guard generation == machine.generation else { return nil }
    let due = clock.now + ClientLimits.tokenRetry
    tellReaders(Inbox.Item(update: .complaint(.unreachable("no token could be had: \(error)"))))
    return due
  }

  // MARK: Transports

  /// Whether calls and acknowledgements can be sent.
  var isDuplex: Bool { machine.phase == .connected && transport.isDuplex }

  private func open(_ generation: Int) {
    retryAfterMilliseconds = nil
    guard let opening = makeOpening() else { return }
    isReading = true
    let frames = PendingFrames()
    self.frames = frames
    let link = transport.open(opening) { [weak self] event in
      if case .frame = event { frames.came() }
      self?.tell(.transport(generation: generation, event))
    }
    self.link = link
    frames.attach(link)
    holdBack()
  }

  private func makeOpening() -> TransportOpening? {
    guard let userID, let lastToken else { return nil }
    let names = topics.request(
      inbox: "user:" + userID, isDuplex: transport.isDuplex, isPolled: transport.isPolled)
    let positions = acknowledgements.positions(of: names)
    inbox?.began(names, presenting: positions)
    acknowledgements.began()
    requested = (names, positions)
    return TransportOpening(
      endpoint: options.endpoint,
      request: ConnectRequest(
        .token(lastToken), deviceID: deviceID, platform: options.platform, subscriptions: names, positions: positions))
  }

  private func drop() {
    flushAcknowledgements()
    fetching?.cancel()
    refreshing?.cancel()
    link?.close()
    link = nil
    frames.detach()
    liveness = nil
    upgradeDue = nil
    connectionID = nil
    loseCalls()
  }

  func take(_ event: TransportEvent, of generation: Int) {
    guard generation == machine.generation else { return }
    switch event {
    case .alive:
      liveness?.heard(clock.now)
      // A poll was answered, which had said where it began.
      if machine.phase == .connected, transport.isPolled { acknowledgements.tell(requested.positions) }
    case .frame(let frame):
      liveness?.heard(clock.now)
      if frames.taken() { link?.setReading(isReading) }
      take(frame, of: generation)
    case .closed(let ending): closed(generation, ending)
    }
  }

  private func take(_ frame: ServerFrame, of generation: Int) {
    switch frame {
    case .ready(let ready) where machine.phase == .opening: takeReady(ready, of: generation)
    case .answer(let id, let result): takeAnswer(id, result)
    case .pong: liveness?.pong(clock.now)
    case .goaway(let milliseconds): retryAfterMilliseconds = milliseconds
    case .expiring:
      if tokens?.isRefreshable == true { refreshToken(force: true) }
    case .error(let error):
      retryAfterMilliseconds = error.retryAfterMilliseconds
      tellReaders(Inbox.Item(update: .complaint(.refused(error))))
    case .live(let topic, _):
      deliver(frame, of: generation)
      // Only now the server knows where the topic stands on this connection.
      acknowledgements.again(topic, now: clock.now)
    case .unsubscribed(let topic, _):
      topics.refuse([topic])
      deliver(frame, of: generation)
    default: deliver(frame, of: generation)
    }
  }

  private func deliver(_ frame: ServerFrame, of generation: Int) {
    for item in inbox?.take(frame) ?? [] { tellReaders(item) }
    guard queue.count >= ClientLimits.updatesMax else { return }
    closed(generation, TransportEnding(text: "nobody reads the updates"))
  }

  private func takeReady(_ ready: ServerFrame.Ready, of generation: Int) {
    guard isOurs(ready) else {
      return closed(generation, TransportEnding(code: 4500, text: "the token is of another user"))
    }
    connectionID = ready.connectionID
    lastReady = (ready.connectionID, transport.isPolled)
    // A stream has said where it begins; a WebSocket that is left to what is sent over it, polls to the first of them.
    if !transport.isDuplex, !transport.isPolled { acknowledgements.tell(requested.positions) }
    let interval =
      transport.isDuplex
      ? min(options.pingIntervalMilliseconds, max(ready.pingIntervalMilliseconds, 1)) : ready.pingIntervalMilliseconds
    liveness = Liveness(interval: Int64(interval), pings: transport.isDuplex, now: clock.now)
    run { machine, now in machine.ready(generation, now: now) }
    tellReaders(Inbox.Item(update: .ready(ready)))
    topics.refuse(ready.denied.map(\.topic))
    for denied in ready.denied { tellReaders(Inbox.Item(update: .denied(denied))) }
    for item in inbox?.take(ready.receipts) ?? [] { tellReaders(item) }
    watchLiveness()
    upgradeDue = machine.nextUpgrade(clock.now)
    // New polls know nothing of what was passed before, and what comes twice passes nothing.
    if transport.isPolled { acknowledgements.hurry(clock.now) }
    alignTopics()
  }

  /// What begins polls names no user: theirs is the inbox, which nobody else may have.
  private func isOurs(_ ready: ServerFrame.Ready) -> Bool {
    guard ready.userID.isEmpty, let userID else { return ready.userID == userID }
    return !ready.denied.contains { $0.topic == "user:" + userID && $0.code == "PERMISSION_DENIED" }
  }

  private func closed(_ generation: Int, _ ending: TransportEnding) {
    var ending = ending
    // Nothing asked for is allowed, and the inbox is always asked for: the token is another user's.
    if machine.phase == .opening, ending.kind == .stop(.permissionDenied) { ending.code = 4500 }
    ending.retryAfterMilliseconds = ending.retryAfterMilliseconds ?? retryAfterMilliseconds
    lastEnding = ending
    run { machine, now in machine.closed(generation, ending, now: now) }
  }

  // MARK: Whether the other side is there

  var livenessDue: Int64? {
    guard machine.phase == .connected, var liveness else { return nil }
    if case .sleep(let until) = liveness.next(clock.now) { return until }
    return clock.now
  }

  /// Looks after the connection, now.
  func watchLiveness() {
    while machine.phase == .connected, var liveness {
      // What is not read, or not asked for yet, says nothing of the other side.
      if !isReading || (transport.isPolled && queue.count > 0) { liveness.heard(clock.now) }
      let wish = liveness.next(clock.now)
      self.liveness = liveness
      switch wish {
      case .sleep: return
      case .ping: if transport.isDuplex { link?.send(.ping(id: nil)) }
      case .dead: return closed(machine.generation, TransportEnding(text: "the server has been silent for too long"))
      }
    }
  }

  // MARK: Better ways

  /// On a lesser transport: looks now and then whether the best one passes, and changes to it.
  func tryBetterTransport() {
    upgradeDue = machine.nextUpgrade(clock.now)
    let generation = machine.generation
    guard machine.phase == .connected, let lastToken else { return }
    let best = transports[0]
    let opening = TransportOpening(endpoint: options.endpoint, request: ConnectRequest(.token(lastToken)))
    // Ends by itself, after the time for a connection at the latest.
    Task { await changeTransport(generation, passes: best.passes(opening)) }
  }

  private func changeTransport(_ generation: Int, passes: Bool) {
    guard passes, generation == machine.generation else { return }
    run { machine, now in machine.reopen(upgrade: true, now: now) }
  }
}
