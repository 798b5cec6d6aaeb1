import Glibc

/// What a loop's hub sees of its connections: it queues bytes, asks for the backlog, and ends them. Owned by one loop
/// and confined to its thread. It writes to no socket: the transport that owns the loop does, once per connection at
/// the end of each turn. Nothing here calls the application.
public final class ConnectionWriter {
  public let settings: LoopSettings
  /// How what is queued as text stands on the wire.
  public let framing: Framing
  /// Monotonic seconds; stands still within a turn.
  public package(set) var nowSeconds: UInt32 = 0
  /// What the loop did since its start, for metrics.
  public package(set) var counters = LoopCounters()
  /// Connections that hold a slot, those that are on their way out included.
  public private(set) var connectionCount = 0

  // The slab. Reserved address space: a page costs memory once a connection was on it.
  package let slots: UnsafeMutablePointer<Slot>
  private var slotsUsed: UInt32 = 0
  private var free: [UInt32] = []
  private var retired: [UInt32] = []

  // The turn: which connections have something to do at its end, and the memory their bytes lie in.
  package let dirty: UnsafeMutablePointer<UInt32>
  package private(set) var dirtyCount = 0
  private var arena = Arena()
  private let whenDirty: (() -> Void)?

  /// `whenDirty` is called when the first connection of a turn becomes dirty, for a loop that does not turn by itself.
  package init(
    settings: LoopSettings, framing: Framing = .webSocket, whenDirty: (() -> Void)? = nil
  ) throws(ReactorError) {
    precondition(settings.connectionsMax > 0 && settings.connectionsMax < Int(UInt32.max), "connectionsMax")
    self.settings = settings
    self.framing = framing
    self.whenDirty = whenDirty
    slots = try reserve(settings.connectionsMax, of: Slot.self)
    dirty = try reserve(settings.connectionsMax, of: UInt32.self)
  }

  deinit {
    for index in 0..<Int(slotsUsed) { dropSide(slots + index) }
    release(slots, settings.connectionsMax)
    release(dirty, settings.connectionsMax)
  }

  // MARK: Memory of the turn

  /// Memory that lives until the end of the current turn. Not aligned.
  public func allocate(_ count: Int) -> UnsafeMutableRawPointer {
    arena.allocate(count)
  }

  /// Grows an allocation in place: possible for the newest one, while its chunk has room. `false` changes nothing.
  public func extend(_ start: UnsafeMutableRawPointer, from count: Int, by more: Int) -> Bool {
    arena.extend(start, from: count, by: more)
  }

  // MARK: Queueing

  /// Queues bytes that are framed already. They must stay valid until the turn ends: memory from `allocate`, or
  /// something that is shared and outlives it. Ignored for a connection that is gone or closing. All that is queued on
  /// a connection in one turn goes out in one system call.
  public func queue(_ connection: ConnectionID, _ bytes: UnsafeRawBufferPointer) {
    let slot = slots + Int(connection.slot)
    guard slot.pointee.generation == connection.generation, !slot.pointee.flags.isSilent else { return }
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    append(slot, connection.slot, start, bytes.count)
  }

  /// Frames a text in the arena, and queues it.
  public func text(_ connection: ConnectionID, _ payload: UnsafeRawBufferPointer) {
    let slot = slots + Int(connection.slot)
    guard slot.pointee.generation == connection.generation, !slot.pointee.flags.isSilent else { return }
    let start = arena.allocate(payload.count + framing.overheadBytes(payload.count))
    append(slot, connection.slot, start, framing.write(payload, at: start))
  }

  /// Bytes accepted for this connection that the kernel has not taken: of earlier turns, and of this one.
  public func backlog(_ connection: ConnectionID) -> Int {
    let slot = slots + Int(connection.slot)
    guard slot.pointee.generation == connection.generation else { return 0 }
    return Int(slot.pointee.outstandingBytes) + Int(slot.pointee.turnBytes)
  }

  /// Queues the last words (a Close frame) behind what is queued. Nothing can be queued after it, and no message is told
  /// any more; `closed` follows when it is written, or after `closeSecondsMax`. `reason` is cut at 123 bytes.
  public func close(_ connection: ConnectionID, code: UInt16, reason: StaticString = "") {
    let slot = slots + Int(connection.slot)
    guard slot.pointee.generation == connection.generation, !slot.pointee.flags.isSilent else { return }
    slot.pointee.flags.insert(.closedByApplication)
    let text = UnsafeRawBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount)
    beginClose(slot, connection.slot, code: code, reason: text)
  }

  /// Ends a connection behind what is queued, as ``close(_:code:reason:)`` does, without a word more.
  public func finish(_ connection: ConnectionID) {
    let slot = slots + Int(connection.slot)
    guard slot.pointee.generation == connection.generation, !slot.pointee.flags.isSilent else { return }
    slot.pointee.flags.formUnion([.closedByApplication, .closing])
    markDirty(slot, connection.slot)
  }

  // MARK: What is known of a connection

  /// It is there, and something can be queued on it.
  public func isOpen(_ connection: ConnectionID) -> Bool {
    let slot = slots + Int(connection.slot)
    return slot.pointee.generation == connection.generation && !slot.pointee.flags.isSilent
  }

  /// The application's word for a connection, 0 at first; 0 for one that is gone.
  public func tag(_ connection: ConnectionID) -> UInt32 {
    let slot = slots + Int(connection.slot)
    return slot.pointee.generation == connection.generation ? slot.pointee.tag : 0
  }

  public func setTag(_ connection: ConnectionID, _ tag: UInt32) {
    let slot = slots + Int(connection.slot)
    guard slot.pointee.generation == connection.generation else { return }
    slot.pointee.tag = tag
  }

  /// When the peer last sent anything, pongs included, in loop seconds; 0 for a connection that is gone.
  public func lastReceived(_ connection: ConnectionID) -> UInt32 {
    let slot = slots + Int(connection.slot)
    return slot.pointee.generation == connection.generation ? slot.pointee.lastReceived : 0
  }

  // MARK: Framing, for the loop

  func frame(
    _ slot: UnsafeMutablePointer<Slot>, _ index: UInt32, _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer
  ) {
    let headerBytes = WebSocketFrame.headerBytes(payload.count)
    let start = arena.allocate(headerBytes + payload.count)
    _ = WebSocketFrame.writeHeader(opcode, payload.count, at: start)
    if let source = payload.baseAddress { memcpy(start + headerBytes, source, payload.count) }
    append(slot, index, start, headerBytes + payload.count)
  }

  /// Queues the last words (without a code an empty Close frame) and lets nothing be queued behind them.
  func beginClose(
    _ slot: UnsafeMutablePointer<Slot>, _ index: UInt32, code: UInt16?,
    reason: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) {
    if let code {
      framing.closing(code, reason: reason).withUnsafeBytes { copy(slot, index, $0) }
    } else {
      frame(slot, index, .close, UnsafeRawBufferPointer(start: nil, count: 0))
    }
    slot.pointee.flags.insert(.closing)
    // Also when there are no words.
    markDirty(slot, index)
  }

  /// Queues bytes that lie somewhere else.
  func copy(_ slot: UnsafeMutablePointer<Slot>, _ index: UInt32, _ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    let start = arena.allocate(bytes.count)
    memcpy(start, source, bytes.count)
    append(slot, index, start, bytes.count)
  }

  func append(_ slot: UnsafeMutablePointer<Slot>, _ index: UInt32, _ start: UnsafeRawPointer, _ count: Int) {
    let held = Int(slot.pointee.turnBytes)
    guard held + count <= Limits.turnBytesMax else {
      slot.pointee.flags.insert(.failed)
      markDirty(slot, index)
      return
    }
    if held == 0 {
      slot.pointee.turn = start
    } else if slot.pointee.flags.contains(.gathered) {
      appendPiece(slot, start, count)
    } else if slot.pointee.turn! + held != start {
      gather(slot, held)
      appendPiece(slot, start, count)
    }
    slot.pointee.turnBytes = UInt32(held + count)
    markDirty(slot, index)
  }

  func markDirty(_ slot: UnsafeMutablePointer<Slot>, _ index: UInt32) {
    if slot.pointee.flags.contains(.dirty) { return }
    slot.pointee.flags.insert(.dirty)
    dirty[dirtyCount] = index
    dirtyCount += 1
    if dirtyCount == 1 { whenDirty?() }
  }

  /// Turns a single piece into a list of one.
  private func gather(_ slot: UnsafeMutablePointer<Slot>, _ held: Int) {
    let list = arena.allocateAligned(PieceList.bytes(capacity: Limits.piecesInitial))
    list.initializeMemory(as: PieceList.self, to: PieceList(count: 1, capacity: Limits.piecesInitial))
    PieceList.pieces(of: list)[0] = iovec(iov_base: UnsafeMutableRawPointer(mutating: slot.pointee.turn), iov_len: held)
    slot.pointee.turn = UnsafeRawPointer(list)
    slot.pointee.flags.insert(.gathered)
  }

  private func appendPiece(_ slot: UnsafeMutablePointer<Slot>, _ start: UnsafeRawPointer, _ count: Int) {
    var list = UnsafeMutableRawPointer(mutating: slot.pointee.turn!)
    var head = list.assumingMemoryBound(to: PieceList.self)
    let last = PieceList.pieces(of: list) + (head.pointee.count - 1)
    if UnsafeRawPointer(last.pointee.iov_base!) + last.pointee.iov_len == start {
      last.pointee.iov_len += count
      return
    }
    if head.pointee.count == head.pointee.capacity {
      let capacity = head.pointee.capacity * 2
      let grown = arena.allocateAligned(PieceList.bytes(capacity: capacity))
      memcpy(grown, list, PieceList.bytes(capacity: head.pointee.capacity))
      list = grown
      head = list.assumingMemoryBound(to: PieceList.self)
      head.pointee.capacity = capacity
      slot.pointee.turn = UnsafeRawPointer(list)
    }
    PieceList.pieces(of: list)[head.pointee.count] = iovec(
      iov_base: UnsafeMutableRawPointer(mutating: start), iov_len: count)
    head.pointee.count += 1
  }

  // MARK: Slots, for the loop

  /// A slot for a new connection; `nil` when all are taken.
  func occupy(descriptor: Int32, addressLease: UInt32) -> ConnectionID? {
    let index: UInt32
    if let reused = free.popLast() {
      index = reused
    } else if Int(slotsUsed) < settings.connectionsMax {
      index = slotsUsed
      slotsUsed += 1
    } else {
      return nil
    }
    let generation = slots[Int(index)].generation
    slots[Int(index)] = Slot(
      descriptor: descriptor, generation: generation, lastReceived: nowSeconds, addressLease: addressLease)
    connectionCount += 1
    return ConnectionID(slot: index, generation: generation)
  }

  /// Ends a connection's stay. Its ids are stale at once; the slot is used again only after the turn, because the turn's
  /// list and epoll's answers may still name it.
  package func vacate(_ index: UInt32) {
    let slot = slots + Int(index)
    precondition(!slot.pointee.flags.isGone, "slot \(index) was vacated twice")
    dropSide(slot)
    slot.pointee.descriptor = -1
    slot.pointee.generation &+= 1
    slot.pointee.turnBytes = 0
    slot.pointee.outstandingBytes = 0
    slot.pointee.flags = slot.pointee.flags.contains(.dirty) ? [.gone, .dirty] : [.gone]
    connectionCount -= 1
    retired.append(index)
  }

  /// After everything was sent: forgets the turn's bytes, and frees the slots that were vacated in it.
  package func endTurn() {
    for position in 0..<dirtyCount {
      let slot = slots + Int(dirty[position])
      slot.pointee.turn = nil
      slot.pointee.turnBytes = 0
      slot.pointee.flags.subtract([.dirty, .gathered])
    }
    dirtyCount = 0
    if !retired.isEmpty {
      free.append(contentsOf: retired)
      retired.removeAll(keepingCapacity: true)
    }
    arena.reset()
  }

  /// One past the highest slot ever used.
  var slotsEnd: UInt32 { slotsUsed }

  /// The id of the connection that is in a slot now.
  package func id(_ index: UInt32) -> ConnectionID {
    ConnectionID(slot: index, generation: slots[Int(index)].generation)
  }

  /// What is queued on a connection in this turn, without the first `skipped` bytes, piece by piece.
  package func eachPiece(
    _ slot: UnsafeMutablePointer<Slot>, after skipped: Int = 0, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    guard slot.pointee.turnBytes > 0, let turn = slot.pointee.turn else { return }
    guard slot.pointee.flags.contains(.gathered) else {
      body(UnsafeRawBufferPointer(start: turn + skipped, count: Int(slot.pointee.turnBytes) - skipped))
      return
    }
    let list = UnsafeMutableRawPointer(mutating: turn)
    let pieces = PieceList.pieces(of: list)
    var rest = skipped
    for position in 0..<list.assumingMemoryBound(to: PieceList.self).pointee.count {
      let piece = pieces[position]
      if rest < piece.iov_len {
        body(UnsafeRawBufferPointer(start: piece.iov_base + rest, count: piece.iov_len - rest))
      }
      rest = max(0, rest - piece.iov_len)
    }
  }

  func side(of slot: UnsafeMutablePointer<Slot>) -> UnsafeMutablePointer<Side> {
    if let side = slot.pointee.side { return side }
    let side = UnsafeMutablePointer<Side>.allocate(capacity: 1)
    side.initialize(to: Side())
    slot.pointee.side = side
    return side
  }

  /// Gives the side back when nothing of the connection is half done.
  func trimSide(_ slot: UnsafeMutablePointer<Slot>) {
    guard let side = slot.pointee.side, side.pointee.outbox.isEmpty, side.pointee.decoder == nil else { return }
    dropSide(slot)
  }

  private func dropSide(_ slot: UnsafeMutablePointer<Slot>) {
    guard let side = slot.pointee.side else { return }
    side.deinitialize(count: 1)
    side.deallocate()
    slot.pointee.side = nil
  }
}

/// Zeroed memory of which only the touched pages exist.
private func reserve<Element: BitwiseCopyable>(
  _ count: Int, of: Element.Type
) throws(ReactorError) -> UnsafeMutablePointer<Element> {
  let flags = MAP_PRIVATE | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE)
  let bytes = count * MemoryLayout<Element>.stride
  guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
    throw ReactorError.system("mmap", errno)
  }
  return memory.bindMemory(to: Element.self, capacity: count)
}

private func release<Element: BitwiseCopyable>(_ start: UnsafeMutablePointer<Element>, _ count: Int) {
  munmap(start, count * MemoryLayout<Element>.stride)
}
