/// What carries a loop's connections: sockets (`Reactor`) or NIO's channels.
package protocol Carrier: AnyObject {
  /// Everything is written; the peer is to see our end of stream.
  func shutWriting(_ index: UInt32)
  /// Lets go of the connection. Its slot is still there, and vacated right after.
  func cut(_ index: UInt32)
}

/// The life of a loop's connections from upgrade to end, whatever carries their bytes: reads frames, answers pings,
/// closes by RFC 6455 §7, and looks after the silent and the slow. One a loop, confined to it. It does no I/O.
///
/// A turn is: `beginTurn`, then what came in, then `tick` and `endInput`; then the carrier sends what is queued and says
/// so by `sent`; then `endTurn`. The application is never called while sending: who ended there is told in the next turn.
package final class ConnectionLife {
  package let writer: ConnectionWriter
  /// Set before the first connection.
  package var application: (any LoopApplication)?
  package weak var carrier: (any Carrier)?

  let settings: LoopSettings
  var watches: [Watch] = []
  private var ended: [ConnectionID] = []
  private var lastTick: UInt32?
  // Decodes for every connection that has nothing half-read; moves into a `Side` when something is.
  private var spare: UnsafeMutablePointer<WebSocketDecoder>

  package init(_ writer: ConnectionWriter) {
    self.writer = writer
    settings = writer.settings
    spare = .allocate(capacity: 1)
    spare.initialize(to: WebSocketDecoder(messageBytesMax: settings.messageBytesMax))
  }

  deinit {
    spare.deinitialize(count: 1)
    spare.deallocate()
  }

  // MARK: The turn

  /// Somebody must be told something: the next turn should come at once.
  package var hasNews: Bool { !ended.isEmpty }

  package func beginTurn(nowSeconds: UInt32) {
    writer.nowSeconds = nowSeconds
    writer.counters.turns &+= 1
    if ended.isEmpty { return }
    let news = ended
    ended.removeAll(keepingCapacity: true)
    for connection in news where connection == writer.id(connection.slot) {
      let flags = writer.slots[Int(connection.slot)].flags
      if flags.contains(.failed) { end(connection.slot) } else { finish(connection.slot) }
    }
  }

  /// After the turn's input, so that a loop that was held up judges nobody before it has read what they sent.
  package func tick() {
    let now = writer.nowSeconds
    guard let last = lastTick else {
      lastTick = now
      return
    }
    if now == last { return }
    lastTick = now
    look(now)
    visit(seconds: last &+ 1...now)
    application?.tick()
  }

  package func endInput() {
    application?.turnEnding()
  }

  /// After everything was sent: the turn's memory goes, and the application may look at what is owed.
  package func endTurn() {
    writer.endTurn()
    application?.turnEnded()
  }

  /// After the carrier dealt with a dirty connection: what was sent or put aside is in `outstandingBytes`.
  package func sent(_ index: UInt32) {
    let slot = writer.slots + Int(index)
    if slot.pointee.flags.contains(.failed) {
      ended.append(writer.id(index))
      return
    }
    if slot.pointee.outstandingBytes > 0 {
      watch(index, .stall, until: settings.stallSecondsMax)
    }
    if slot.pointee.flags.contains(.closing), !slot.pointee.flags.contains(.lingering) {
      watch(index, .close, until: settings.closeSecondsMax)
      if slot.pointee.outstandingBytes == 0 { ended.append(writer.id(index)) }
    }
  }

  // MARK: What happens to a connection

  /// A connection that was taken on: its answer, if it has one by now, is queued, then the application hears of it. `nil`
  /// without a free slot.
  package func open(
    descriptor: Int32, addressLease: UInt32, response: [UInt8], request: UpgradeRequest
  ) -> ConnectionID? {
    guard let connection = writer.occupy(descriptor: descriptor, addressLease: addressLease) else {
      writer.counters.refused &+= 1
      return nil
    }
    writer.counters.opened &+= 1
    let slot = writer.slots + Int(connection.slot)
    slot.pointee.flags.insert(.open)
    if !writer.framing.isTwoWay { slot.pointee.flags.insert(.discardsInput) }
    response.withUnsafeBytes { writer.copy(slot, connection.slot, $0) }
    application?.opened(connection, request)
    return connection
  }

  /// Bytes of the peer; they are unmasked where they lie. The connection may be gone afterwards.
  package func received(_ index: UInt32, _ bytes: UnsafeMutableRawBufferPointer) {
    let slot = writer.slots + Int(index)
    let connection = writer.id(index)
    writer.counters.bytesReceived &+= UInt64(bytes.count)
    slot.pointee.lastReceived = writer.nowSeconds
    if slot.pointee.flags.contains(.discardsInput) { return }

    let decoder = slot.pointee.side?.pointee.decoder ?? spare
    var input = bytes
    steps: while true {
      switch decoder.pointee.next(&input) {
      case .needMore:
        break steps
      case .text(let payload):
        slot.pointee.flags.insert(.completedMessage)
        writer.counters.messagesReceived &+= 1
        if !slot.pointee.flags.isSilent { application?.message(connection, payload) }
      case .ping(let payload):
        if !slot.pointee.flags.isSilent { writer.frame(slot, index, .pong, payload) }
      case .pong:
        break
      case .close(let code):
        peerClosed(index, code)
        break steps
      case .failure(let code):
        writer.counters.closedProtocolError &+= 1
        slot.pointee.flags.insert(.discardsInput)
        if !slot.pointee.flags.isSilent { writer.beginClose(slot, index, code: code) }
        application?.refused(connection, code: code)
        break steps
      }
    }
    keep(decoder, for: connection)
  }

  /// The peer's end of stream. What is queued for it is still written: it may only have closed its sending side.
  package func peerFinished(_ index: UInt32) {
    let slot = writer.slots + Int(index)
    slot.pointee.flags.insert(.peerFinished)
    if slot.pointee.flags.contains(.lingering) { return end(index) }
    slot.pointee.flags.insert(.closing)
    writer.markDirty(slot, index)
  }

  /// The kernel has taken what it had refused.
  package func drained(_ index: UInt32) {
    let flags = writer.slots[Int(index)].flags
    if flags.contains(.closing) {
      // Something may have been queued behind it in this very turn: then the turn's end looks again.
      if writer.slots[Int(index)].turnBytes == 0, !flags.contains(.lingering) { finish(index) }
    } else {
      application?.drained(writer.id(index))
    }
  }

  /// The connection is over, now: broken, given up, or done.
  package func end(_ index: UInt32) {
    tellClosed(index)
    carrier?.cut(index)
    writer.vacate(index)
  }

  /// The loop stops: everybody is told, nobody waited for.
  package func endAll() {
    for index in 0..<writer.slotsEnd where !writer.slots[Int(index)].flags.isGone { end(index) }
  }

  private func peerClosed(_ index: UInt32, _ code: UInt16?) {
    let slot = writer.slots + Int(index)
    slot.pointee.flags.formUnion([.closeReceived, .discardsInput])
    if slot.pointee.flags.contains(.lingering) { return end(index) }
    if !slot.pointee.flags.isSilent { writer.beginClose(slot, index, code: code) }
  }

  /// Everything is written and the end is decided: the application is told; then the peer gets time to see our end and
  /// to answer, because a socket closed at once takes the Close frame with it when unread bytes wait on our side. That
  /// holds for a peer that closed first, too: it may have sent more behind its Close frame.
  private func finish(_ index: UInt32) {
    tellClosed(index)
    let slot = writer.slots + Int(index)
    if slot.pointee.flags.contains(.peerFinished) { return end(index) }
    slot.pointee.flags.insert(.lingering)
    carrier?.shutWriting(index)
  }

  private func tellClosed(_ index: UInt32) {
    let slot = writer.slots + Int(index)
    guard slot.pointee.flags.contains(.open) else { return }
    slot.pointee.flags.remove(.open)
    slot.pointee.flags.insert(.closing)
    writer.counters.closed &+= 1
    let isClean = !slot.pointee.flags.isDisjoint(with: [.closeReceived, .closedByApplication])
    application?.closed(writer.id(index), clean: isClean)
  }

  // MARK: Half-read things

  /// After a read: what is half-read stays with the connection, and memory only with what is half-read.
  private func keep(_ decoder: UnsafeMutablePointer<WebSocketDecoder>, for connection: ConnectionID) {
    let slot = writer.slots + Int(connection.slot)
    let isThere = connection == writer.id(connection.slot)
    let isHalfRead = isThere && !slot.pointee.flags.contains(.discardsInput) && !decoder.pointee.isAtRest
    if isHalfRead {
      if decoder == spare {
        writer.side(of: slot).pointee.decoder = spare
        spare = .allocate(capacity: 1)
        spare.initialize(to: WebSocketDecoder(messageBytesMax: settings.messageBytesMax))
      }
      watch(connection.slot, .message, until: settings.messageSecondsMax)
    } else if decoder == spare {
      // Broken off in the middle, when the connection ended there.
      if !isThere || slot.pointee.flags.contains(.discardsInput) {
        spare.pointee = WebSocketDecoder(messageBytesMax: settings.messageBytesMax)
      }
    } else if isThere {
      slot.pointee.side?.pointee.dropDecoder()
      writer.trimSide(slot)
    }
  }
}
