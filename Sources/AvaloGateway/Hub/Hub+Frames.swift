import AvaloCore
import AvaloReactor
import AvaloWire

// What clients send: connect, call, ack, ping. Shapes in docs/protocol/client.md.
extension Hub {

  func receive(_ session: Session, _ message: UnsafeRawBufferPointer) {
    do {
      let frame = try JSONView(validating: message)
      guard frame.kind == .object else { throw CallError(.invalidArgument, "a frame is a JSON object") }
      try receive(session, frame)
    } catch let error as CallError {
      reject(session, error)
    } catch {
      reject(session, CallError(.invalidArgument, "the frame is not JSON: \(error)"))
    }
  }

  private func receive(_ session: Session, _ frame: JSONView) throws(CallError) {
    if let ack = frame[ClientFrameKind.ack.key] {
      guard session.ackAllowance > 0 else {
        return tooMany(session, "acknowledgements", HubLimits.acknowledgementsPerSecondMax)
      }
      session.ackAllowance -= 1
      session.isActive = true
      return try acknowledge(session, ack)
    }
    guard session.callAllowance > 0 else { return tooMany(session, "frames", HubLimits.callsPerSecondMax) }
    session.charge(1)
    if frame[ClientFrameKind.ping.key] != nil {
      return send(session) { $0.pong(id: frame["id"]?.raw, nowMilliseconds: clock.milliseconds) }
    }
    if let connect = frame[ClientFrameKind.connect.key] { return try receiveConnect(session, connect) }
    if let name = frame[ClientFrameKind.call.key] { return try receiveCall(session, frame, name) }
    throw CallError(.invalidArgument, "a frame has one of the keys \(ClientFrameKind.keys)")
  }

  private func tooMany(_ session: Session, _ what: String, _ max: UInt16) {
    refuse(
      session,
      .over(
        .framesPerSecond, max: Int(max), "more than \(max) \(what) a second",
        retryAfterMilliseconds: HubLimits.rateRetryMilliseconds),
      code: .rateLimited)
  }

  /// A frame that is wrong but harmless is told; before authentication it ends the session.
  private func reject(_ session: Session, _ error: CallError) {
    metrics.badFrames.add(1)
    guard session.stage == .ready || session.stage == .attaching else { return refuse(session, error) }
    guard session.callAllowance > 0 else { return tooMany(session, "frames", HubLimits.callsPerSecondMax) }
    session.charge(HubLimits.badFrameFrames)
    send(session) { $0.error(error) }
  }

  private func receiveConnect(_ session: Session, _ connect: JSONView) throws(CallError) {
    guard connect.kind == .object else { throw CallError(.invalidArgument, "connect is an object") }
    if let token = connect["token"] {
      guard let token = token.string else { throw CallError(.invalidArgument, "connect.token is a string") }
      guard authenticate(session, token: token) else { return }
    }
    guard session.stage == .awaitingConnect else { return }
    guard let identity = session.identity else {
      throw CallError(.unauthenticated, "connect needs a token: a JWT signed with a key this server knows")
    }
    self.connect(session, identity, try ConnectRequest(connect, topicsMax: policy.limits.namesMax))
  }

  // MARK: - Calls

  private func receiveCall(_ session: Session, _ frame: JSONView, _ name: JSONView) throws(CallError) {
    guard let id = frame["id"], id.kind == .number || id.kind == .string, id.raw.count <= HubLimits.callIDBytesMax
    else {
      throw CallError(
        .invalidArgument, "a call has an id, a number or a string of at most \(HubLimits.callIDBytesMax) bytes")
    }
    let calls = SessionCalls(self, session)
    let callID = [UInt8](id.raw)
    guard session.stage == .ready, let identity = session.identity else {
      if session.stage == .attaching {
        let early = CallError(.failedPrecondition, "this connection is not ready yet: wait for the frame \"ready\"")
        return send(session) { $0.answer(id: id.raw, .failure(early)) }
      }
      throw CallError(.unauthenticated, "connect first: send {\"connect\":{\"token\":…}}")
    }
    session.isActive = true
    guard let name = name.utf8, let callable = CallTable.find(name) else {
      return calls.answer(callID, .failure(CallError(.notFound, "there is no function of that name")))
    }
    guard accessIsCurrent else { return calls.answer(callID, .failure(.accessUnknown)) }
    let request = CallRequest(data: frame["data"] ?? .null, caller: .user(identity), carrier: .session(calls))
    CallTable.invoke(callable, request, self.calls) { calls.answer(callID, $0) }
  }

  /// Adds topics that the user may subscribe to; those the session was let into already are in place. Those that an earlier
  /// call asked for, and nobody has decided on, are asked for again: this call is answered no sooner than it is known.
  func subscribe(
    _ session: Session, to grant: AccessRules.Grant, positions: [Topic: Position],
    completion: @escaping RequestTable.Completion
  ) {
    noteDenials(session, grant.denied)
    let watched = grant.granted.filter(\.isPresence)
    if let refusal = refusal(of: watched, session) { return completion(.failure(refusal)) }
    let has = Set(self.topics(of: session))
    let wanted = grant.granted.filter { !$0.isPresence }
    let new = wanted.filter { !has.contains($0) }
    let undecided = self.undecided(wanted, of: session)
    guard !new.isEmpty || !undecided.isEmpty else {
      joinPresence(session, watched)
      return completion(.success([]))
    }
    let max = policy.limits.topicsPerConnectionMax
    guard has.count + new.count <= max else {
      return completion(
        .failure(
          .over(
            .topics, max: max, "a connection may have \(max) topics, and this would be its \(has.count + new.count)th"))
      )
    }
    guard schedulerIsUp else { return completion(.failure(.schedulerAway)) }
    joinPresence(session, watched)
    let joiners = new.map {
      let index = join(session, $0, ifMember: grant.ifMember.contains($0), presented: positions[$0])
      return Joiner(subscription: index, topic: subscriptions[index].topic)
    }
    askCursors(session, joiners + undecided) { [weak self] result in
      completion(result.map { self?.adding($0, wanted, session) ?? $0 })
    }
  }

  /// What was denied, and what the session was not let into besides: an earlier answer may have ended a subscription that this
  /// call waited for.
  private func adding(
    _ denied: [AccessRules.Grant.Denial], _ wanted: [Topic], _ session: Session
  ) -> [AccessRules.Grant.Denial] {
    let admitted = Set(admittedTopics(of: session))
    let named = Set(denied.map(\.topic))
    let code: StatusCode = requests.isChecked ? .permissionDenied : .unavailable
    return denied
      + wanted.filter { !admitted.contains($0) && !named.contains($0.name) }
      .map { policy.access.denial(of: $0, code, to: session.user) }
  }

  func unsubscribe(_ session: Session, from topics: [Topic]) {
    unsubscribe(session, Set(topics.compactMap { find($0)?.index }))
    leavePresence(session, topics.filter(\.isPresence))
  }

  // MARK: - Acknowledgements

  private func acknowledge(_ session: Session, _ ack: JSONView) throws(CallError) {
    // Nothing was written on this connection yet that could be acknowledged.
    if session.stage == .attaching { return }
    guard session.stage == .ready else { throw CallError(.unauthenticated, "connect first") }
    // By topic: an array of any length costs one walk through what the session has.
    var positions: [UInt32: Position] = [:]
    if ack.kind == .array {
      for one in ack.elements { try note(one, in: &positions) }
    } else {
      try note(ack, in: &positions)
    }
    guard !positions.isEmpty else { return }
    forEachSubscription(of: session) { index in
      if let position = positions[subscriptions[index].topic] { acknowledge(session, index, position) }
    }
  }

  private func note(_ ack: JSONView, in positions: inout [UInt32: Position]) throws(CallError) {
    guard ack.kind == .object, let name = ack["topic"]?.utf8, let offset = ack["offset"]?.integer, offset >= 0,
      let epoch = ack["epoch"]?.string.flatMap({ Epoch($0) })
    else {
      throw CallError(.invalidArgument, "ack is {\"topic\":\"…\",\"epoch\":\"…\",\"offset\":n}, or an array of such")
    }
    guard let topic = find(name), epoch == topic.position.epoch else { return }
    let position = Position(epoch: epoch, offset: UInt64(offset))
    if let noted = positions[topic.index], noted.offset >= position.offset { return }
    positions[topic.index] = position
  }

  /// Cumulative, clamped to what this connection was contiguously written (delivery.md, rule 7); of another epoch, nothing.
  private func acknowledge(_ session: Session, _ index: UInt32, _ position: Position) {
    let topic = topic(of: index)
    let written: UInt64 =
      switch subscriptions[index].state {
      case .live: topic.position.offset
      case .behind: subscriptions[index].cursor
      case .joining, .free: 0
      }
    let acknowledged = min(position.offset, written)
    guard acknowledged > 0 else { return }
    metrics.acknowledged.add(1)
    if acknowledged == topic.position.offset, topic.newestAcceptedMicroseconds > 0 {
      metrics.ackSeconds.observe(microseconds: clock.microseconds - topic.newestAcceptedMicroseconds, count: 1)
    }
    acknowledgements.append(
      Acknowledge.Entry(
        session: session.number, handle: topic.handle,
        position: Position(epoch: position.epoch, offset: acknowledged)))
  }
}
