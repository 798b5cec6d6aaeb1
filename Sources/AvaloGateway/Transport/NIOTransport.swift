import AvaloReactor
import NIOCore

/// Carries connections of one event loop that cannot leave NIO: WebSockets that TLS holds there, and event streams, which
/// HTTP began. The same life, the same application and the same writer as on a reactor; confined to its event loop.
///
/// A turn begins with the first thing that happens and ends with a task that the event loop runs after all that was
/// ready: so one turn takes in many channels, and each is written and flushed once.
final class NIOTransport {
  let eventLoop: any EventLoop
  let writer: ConnectionWriter
  /// For the application's own mailboxes.
  let waker: Waker

  private let life: ConnectionLife
  private let addresses: AddressBudget?
  private let clock: LoopClock
  // By slot. The handlers own nothing of the transport but a reference.
  private var handlers: [NIOTransportHandler?] = []
  private let decoded = UnsafeMutableRawBufferPointer.allocate(
    byteCount: TransportLimits.decodedBytesMax, alignment: 64)
  private let own: NIOLoopBoundBox<NIOTransport?>
  private var ticks: RepeatedTask?
  private var inTurn = false
  private var isSending = false
  private var lost: [ConnectionID] = []

  /// On its event loop. `make` builds the application, which is told of everything from then on.
  init(
    _ eventLoop: any EventLoop, settings: LoopSettings, framing: Framing = .webSocket, addresses: AddressBudget?,
    clock: LoopClock, make: (NIOTransport) -> any LoopApplication
  ) throws {
    eventLoop.preconditionInEventLoop()
    self.eventLoop = eventLoop
    self.addresses = addresses
    self.clock = clock
    let own = NIOLoopBoundBox<NIOTransport?>(nil, eventLoop: eventLoop)
    self.own = own
    writer = try ConnectionWriter(settings: settings, framing: framing, whenDirty: { own.value?.enterTurn() })
    life = ConnectionLife(writer)
    waker = Waker { eventLoop.execute { own.value?.answerWaker() } }
    own.value = self
    life.carrier = self
    life.application = make(self)
    ticks = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
      own.value?.enterTurn()
    }
  }

  deinit {
    decoded.deallocate()
  }

  /// Drops every connection, tells the application, and lets go of both. On the event loop.
  func stop() {
    ticks?.cancel()
    enterTurn()
    life.endAll()
    life.application = nil
    own.value = nil  // the waker, the ticks and the turn's end find nobody from here on
  }

  // MARK: What happens

  var connectionCount: Int { writer.connectionCount }
  var hasRoom: Bool { connectionCount < writer.settings.connectionsMax }

  /// How long a peer may be silent.
  var silenceMilliseconds: SocketOptionValue {
    SocketOptionValue(writer.settings.pingIntervalSeconds + writer.settings.pingGraceSeconds) * 1000
  }

  /// How long the kernel may find nobody there. No sooner than a reader is given up that takes nothing: a window of zero
  /// counts as silence (tcp(7), TCP_USER_TIMEOUT).
  var unacknowledgedMilliseconds: SocketOptionValue {
    max(silenceMilliseconds, SocketOptionValue(writer.settings.stallSecondsMax) * 1000)
  }

  /// `false` when there is no room: nothing was said to the peer, and the lease is still the caller's.
  func adopt(_ handler: NIOTransportHandler, _ upgrade: Upgrade) -> Bool {
    guard hasRoom else { return false }
    do {
      try handler.allowHalfClosure()
    } catch {
      return false  // closed meanwhile
    }
    enterTurn()
    // Known before `opened` is told, because the application may queue at once.
    let place = life.open(
      descriptor: -1, addressLease: upgrade.addressLease, response: upgrade.response, request: upgrade.request)
    guard let place else { return false }
    let index = Int(place.slot)
    while handlers.count <= index { handlers.append(nil) }
    handlers[index] = handler
    handler.connection = place
    upgrade.early.withUnsafeBytes { received(place, $0) }
    return true
  }

  func received(_ connection: ConnectionID, _ bytes: UnsafeRawBufferPointer) {
    enterTurn()
    // Unmasked in the loop's own memory: NIO may hold on to the buffer that it read into.
    var rest = bytes
    while !rest.isEmpty, connection == writer.id(connection.slot) {
      let part = UnsafeRawBufferPointer(rebasing: rest.prefix(decoded.count))
      decoded.copyMemory(from: part)
      life.received(connection.slot, UnsafeMutableRawBufferPointer(rebasing: decoded.prefix(part.count)))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
    }
  }

  func peerFinished(_ connection: ConnectionID) {
    enterTurn()
    if connection == writer.id(connection.slot) { life.peerFinished(connection.slot) }
  }

  /// The channel is gone.
  func ended(_ connection: ConnectionID) {
    if isSending {
      // A write showed it. The application hears of it after the turn.
      lost.append(connection)
      return
    }
    enterTurn()
    if connection == writer.id(connection.slot) { life.end(connection.slot) }
  }

  private func answerWaker() {
    waker.answered()  // before the mail is taken: later mail wakes again
    enterTurn()
    life.application?.woken()
  }

  // MARK: The turn

  private func enterTurn() {
    if inTurn { return }
    inTurn = true
    eventLoop.execute { [own] in own.value?.endTurn() }
    life.beginTurn(nowSeconds: UInt32(truncatingIfNeeded: clock.milliseconds() / 1000))
  }

  private func endTurn() {
    life.tick()
    life.endInput()
    isSending = true
    var position = 0
    while position < writer.dirtyCount {
      let index = writer.dirty[position]
      position += 1
      let slot = writer.slots + Int(index)
      if slot.pointee.flags.contains(.gone) { continue }
      if let handler = handlers[Int(index)] { transmit(handler, slot, index) }
      life.sent(index)
    }
    shared = nil
    isSending = false
    life.endTurn()
    inTurn = false
    if life.hasNews || writer.dirtyCount > 0 { enterTurn() }
    let gone = lost
    lost.removeAll()
    for connection in gone { ended(connection) }
  }

  // MARK: Writing

  // The last buffer of the turn and what it is a copy of: a fan-out gives many connections the same bytes.
  private var shared: (start: UnsafeRawPointer, count: Int, buffer: ByteBuffer)?

  /// The one place where this transport writes.
  private func transmit(_ handler: NIOTransportHandler, _ slot: UnsafeMutablePointer<Slot>, _ index: UInt32) {
    let count = Int(slot.pointee.turnBytes)
    if count == 0 || slot.pointee.flags.contains(.failed) { return }
    let connection = writer.id(index)
    write(handler, connection, buffer(slot, count))
    guard connection == writer.id(index), !slot.pointee.flags.contains(.closing) else { return }
    if Int(slot.pointee.outstandingBytes) > writer.settings.outboxBytesMax {
      writer.counters.closedSlow &+= 1
      slot.pointee.flags.insert(.closing)
      write(handler, connection, ByteBuffer(bytes: writer.framing.slowConsumer))
    }
  }

  private func write(_ handler: NIOTransportHandler, _ connection: ConnectionID, _ buffer: ByteBuffer) {
    let count = buffer.readableBytes
    writer.counters.sends &+= 1
    writer.slots[Int(connection.slot)].outstandingBytes += UInt32(count)
    let promise = eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenComplete { [weak self] result in
      self?.written(connection, count, result)
    }
    handler.write(buffer, promise)
  }

  /// NIO has given these bytes to the kernel: at once, or later.
  private func written(_ connection: ConnectionID, _ count: Int, _ result: Result<Void, any Error>) {
    guard connection == writer.id(connection.slot) else { return }
    let slot = writer.slots + Int(connection.slot)
    switch result {
    case .failure:
      slot.pointee.flags.insert(.failed)
      if !isSending { ended(connection) }
    case .success:
      slot.pointee.outstandingBytes -= UInt32(count)
      slot.pointee.flags.insert(.wrote)
      writer.counters.bytesSent &+= UInt64(count)
      if isSending { return }
      if slot.pointee.outstandingBytes == 0 {
        enterTurn()
        life.drained(connection.slot)
      }
    }
  }

  private func buffer(_ slot: UnsafeMutablePointer<Slot>, _ count: Int) -> ByteBuffer {
    let isOnePiece = !slot.pointee.flags.contains(.gathered)
    if isOnePiece, let shared, shared.start == slot.pointee.turn, shared.count == count { return shared.buffer }
    var buffer = ByteBufferAllocator().buffer(capacity: count)
    writer.eachPiece(slot) { buffer.writeBytes($0) }
    if isOnePiece, let start = slot.pointee.turn { shared = (start, count, buffer) }
    return buffer
  }
}

extension NIOTransport: Carrier {
  func shutWriting(_ index: UInt32) {
    handlers[Int(index)]?.shutWriting()
  }

  func cut(_ index: UInt32) {
    addresses?.release(writer.slots[Int(index)].addressLease)
    guard Int(index) < handlers.count, let handler = handlers[Int(index)] else { return }
    handlers[Int(index)] = nil
    handler.cut()
  }
}
