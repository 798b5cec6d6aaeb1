import AvaloCore
import AvaloReactor
import AvaloWire

// What is different for sessions that only listen: how they begin, where they stand, how they end.
extension Hub {

  /// A session whose user and wishes came with its HTTP request. An older one of the same connection is gone, or is about to
  /// be noticed as such.
  /// - `arrived`: when the request came, in microseconds since 1970, if that is not now.
  func begin(
    _ connection: ConnectionID, _ identity: Identity, _ request: ConnectRequest, at arrived: Int64? = nil,
    answer: StreamAnswer? = nil
  ) {
    guard let session = session(of: connection) else { return }
    if face != .poll, let connectionID = request.connectionID {
      forEachSession(of: identity.user) { older in
        if older.connectionID == connectionID { supersede(older) }
      }
    }
    session.entry = Session.Entry(answer: answer)
    // A connection that nobody named is this request's alone.
    if request.connectionID != nil { leases[session.number] = arrived ?? clock.microseconds }
    connect(session, identity, request)
  }

  /// Says that the session is its connection's, before it is attached.
  func askLease(_ session: Session) {
    guard let began = leases[session.number] else { return }
    toScheduler.frame(
      Lease(
        session: session.number, place: session.connection.slot, user: session.user,
        connection: session.connectionID, use: face == .poll ? .poll : .stream, beganMicroseconds: began),
      correlation: UInt32(loop) << 24)
  }

  /// A later request of the connection was taken, here or at another gateway.
  func leaseLost(_ lost: LeaseLost) {
    guard let session = session(lost.session, lost.place), session.stage != .closing else { return }
    if face == .poll { whenSuperseded?(session.connection) } else { supersede(session) }
  }

  private func supersede(_ session: Session) {
    refuse(
      session, CallError(.aborted, "the stream was begun again by another request"), code: .superseded)
  }

  /// Remembers that a session was written something that moved it.
  func noteProgress(_ connection: ConnectionID) {
    guard face == .eventStream, let session = session(of: connection), !session.owesPosition else { return }
    session.owesPosition = true
    progressed.append(connection)
  }

  /// Tells each session that moved in this turn where it stands now, once: the id of the events that it was sent. An id
  /// without data is no event to the client, and holds for whatever comes next.
  func tellPositions() {
    guard !progressed.isEmpty else { return }
    for connection in progressed {
      guard let session = session(of: connection) else { continue }
      session.owesPosition = false
      var line = Array("id: ".utf8)
      writeVector(of: session, to: &line)
      line += [UInt8(ascii: "\n"), UInt8(ascii: "\n")]
      queue(session, line)
    }
    progressed.removeAll(keepingCapacity: true)
  }

  private func writeVector(of session: Session, to text: inout [UInt8]) {
    forEachSubscription(of: session) { index in
      PositionVector.append(topic(of: index).topic, position(of: index), to: &text)
    }
  }

  /// Where a session stands, for its client to say so.
  func cursor(of session: Session) -> String {
    var text: [UInt8] = []
    writeVector(of: session, to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// Whether a session has been told all that was there when it came.
  func hasBegun(_ session: Session) -> Bool {
    guard session.stage != .attaching else { return false }
    var isBehind = false
    forEachSubscription(of: session) { if subscriptions[$0].state != .live { isBehind = true } }
    return !isBehind
  }

  /// What acknowledges all that a session was written.
  func acknowledgements(of session: Session) -> [Acknowledge.Entry] {
    var entries: [Acknowledge.Entry] = []
    forEachSubscription(of: session) { index in
      guard subscriptions[index].state != .joining, let position = position(of: index), position.offset > 0 else {
        return
      }
      entries.append(.init(session: session.number, handle: topic(of: index).handle, position: position))
    }
    return entries
  }

  /// Sends acknowledgements that were made before, with the next turn.
  func acknowledge(_ entries: [Acknowledge.Entry]) {
    acknowledgements += entries
    metrics.acknowledged.add(entries.count)
  }

  /// Up to where a subscription was written; what was presented, while it has not begun.
  private func position(of index: UInt32) -> Position? {
    let epoch = topic(of: index).position.epoch
    switch subscriptions[index].state {
    case .live: return topic(of: index).position
    case .behind: return Position(epoch: epoch, offset: subscriptions[index].cursor)
    case .joining: return joining[index]?.presented
    case .free: return nil
    }
  }

  /// Who cannot acknowledge says what was processed by where it resumes.
  func acknowledgePresented(_ index: UInt32, _ session: Session, _ position: Position) {
    guard face != .webSocket, position.offset > 0 else { return }
    acknowledgements.append(
      .init(session: session.number, handle: topic(of: index).handle, position: position))
  }

  /// Ends a session for a reason that is told: on the answer's status while that is open, else in the stream.
  func end(_ session: Session, with error: CallError, _ code: CloseCode) {
    guard session.stage != .closing else { return }
    if face == .poll {
      whenRefused?(session.connection, error)
      return close(session, code)
    }
    let answer = session.entry?.answer
    if answer == nil, face != .callStream {
      send(session) { $0.error(error) }
      return close(session, code)
    }
    queue(session, answer?.refused(error) ?? Face.failure(error))
    enterClosing(session, code)
    writer.finish(session.connection)
  }

  /// Queues bytes as they are.
  func queue(_ session: Session, _ bytes: [UInt8]) {
    let start = writer.allocate(bytes.count)
    bytes.withUnsafeBytes { start.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    writer.queue(session.connection, UnsafeRawBufferPointer(start: start, count: bytes.count))
  }
}
