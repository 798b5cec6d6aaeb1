import CAvalo
import Glibc
import Synchronization

/// One thread, one epoll, one slab: the loop that carries plain WebSockets. Others reach it only through its
/// `ReactorHandle` and the mailboxes of its application.
///
/// A turn: wait; read what came and tell the application; let the application queue its last; send once per connection
/// that has something; forget the turn's memory.
public final class Reactor {
  public let writer: ConnectionWriter
  /// For the application's own mailboxes: `woken` follows every `wake`.
  public let waker: Waker

  let life: ConnectionLife
  let epoll: Int32
  private let wakeDescriptor: Int32
  private let clock: LoopClock
  private let shared: ReactorShared
  private let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Limits.readBytes, alignment: 64)
  private var placesFreed = 0
  private var isStopping = false

  /// Starts a loop on a thread of its own, named `name` (15 bytes are seen in ps). `make` runs on that thread, before
  /// the first connection. The loop runs until `stop`.
  public static func start(
    name: String, settings: LoopSettings = LoopSettings(), addresses: AddressBudget? = nil,
    clock: LoopClock = .monotonic, make: @escaping @Sendable (Reactor) -> any LoopApplication
  ) throws(ReactorError) -> ReactorHandle {
    let shared = try ReactorShared(connectionsMax: settings.connectionsMax, addresses: addresses)
    let reactor = try Reactor(settings: settings, clock: clock, shared: shared)
    let thread = try LoopThread.start(name: name, Main(reactor: reactor, make: make))
    return ReactorHandle(shared: shared, thread: thread)
  }

  private init(settings: LoopSettings, clock: LoopClock, shared: ReactorShared) throws(ReactorError) {
    self.clock = clock
    self.shared = shared
    writer = try ConnectionWriter(settings: settings)
    life = ConnectionLife(writer)
    waker = shared.waker
    wakeDescriptor = shared.wakeDescriptor
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw ReactorError.system("epoll_create1", errno) }
    let status = avalo_epoll_control(epoll, EPOLL_CTL_ADD, wakeDescriptor, EPOLLIN.rawValue, Reactor.wakeToken)
    guard status == 0 else { throw ReactorError.system("epoll_ctl", -status) }
    life.carrier = self
  }

  deinit {
    readBuffer.deallocate()
    if epoll >= 0 { close(epoll) }
  }

  // MARK: The loop

  /// Not a slot: the slab is far smaller.
  private static let wakeToken = UInt64.max

  private func run() {
    let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Limits.eventsPerTurn)
    defer { events.deallocate() }
    while !isStopping {
      let ready = epoll_wait(epoll, events, Int32(Limits.eventsPerTurn), timeoutMilliseconds)
      precondition(ready >= 0 || errno == EINTR, "epoll_wait: errno \(errno)")
      life.beginTurn(nowSeconds: UInt32(truncatingIfNeeded: clock.milliseconds() / 1000))
      for position in 0..<Int(max(0, ready)) {
        dispatch(events[position].data.u64, events[position].events)
      }
      endTurn()
    }
    stopped()
  }

  /// Until the next second begins, when the loop ticks.
  private var timeoutMilliseconds: Int32 {
    life.hasNews ? 0 : Int32(1000 - clock.milliseconds() % 1000)
  }

  private func dispatch(_ token: UInt64, _ events: UInt32) {
    if token == Reactor.wakeToken { return answerWaker() }
    let index = UInt32(truncatingIfNeeded: token)
    let slot = writer.slots + Int(index)
    // An answer about a connection that ended earlier in this turn.
    if slot.pointee.generation != UInt32(truncatingIfNeeded: token >> 32) { return }
    if events & EPOLLOUT.rawValue != 0 {
      writable(slot, index)
      if slot.pointee.flags.isGone { return }
    }
    if events & ~EPOLLOUT.rawValue == 0 { return }
    if slot.pointee.flags.contains(.armedRead) {
      readable(slot, index, isLast: events & EPOLLRDHUP.rawValue != 0)
    } else {
      life.end(index)  // broken: an error or hang-up is reported whatever was asked for
    }
  }

  private func answerWaker() {
    var count: eventfd_t = 0
    eventfd_read(wakeDescriptor, &count)
    waker.answered()  // before the mail is taken: later mail wakes again
    shared.commands.drain { command in
      switch command {
      case .adopt(let adoption): adopt(adoption)
      case .stop: isStopping = true
      }
    }
    life.application?.woken()
  }

  private func endTurn() {
    life.tick()
    life.endInput()
    var position = 0
    while position < writer.dirtyCount {
      let index = writer.dirty[position]
      position += 1
      if writer.slots[Int(index)].flags.isGone { continue }
      transmit(writer.slots + Int(index))
      arm(index)
      life.sent(index)
    }
    life.endTurn()
    if placesFreed > 0 {
      shared.places.subtract(placesFreed, ordering: .relaxed)
      placesFreed = 0
    }
  }

  private func stopped() {
    shared.isStopped.store(true, ordering: .releasing)
    shared.commands.drain { _ in }  // descriptors in it close themselves
    life.endAll()
    writer.endTurn()
    life.application = nil
  }

  // MARK: Reading

  private func adopt(_ adoption: Adoption) {
    let descriptor = adoption.descriptor.take()
    let opened = life.open(
      descriptor: descriptor, addressLease: adoption.addressLease, response: adoption.response,
      request: adoption.request)
    guard let opened else {
      close(descriptor)
      shared.addresses?.release(adoption.addressLease)
      placesFreed += 1
      return
    }
    let slot = writer.slots + Int(opened.slot)
    let status = avalo_epoll_control(epoll, EPOLL_CTL_ADD, descriptor, Reactor.reading, Reactor.token(opened))
    guard status == 0 else {
      writer.counters.refused &+= 1
      return life.end(opened.slot)  // the kernel has no memory to watch it
    }
    slot.pointee.flags.insert(.armedRead)
    feed(opened, adoption.early)
  }

  /// What came with the request, through the same buffer as everything that follows.
  private func feed(_ connection: ConnectionID, _ early: [UInt8]) {
    var offset = 0
    while offset < early.count, connection == writer.id(connection.slot) {
      let count = min(early.count - offset, readBuffer.count)
      early.withUnsafeBytes {
        readBuffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
      }
      life.received(connection.slot, UnsafeMutableRawBufferPointer(rebasing: readBuffer.prefix(count)))
      offset += count
    }
  }

  private func readable(_ slot: UnsafeMutablePointer<Slot>, _ index: UInt32, isLast: Bool) {
    let generation = slot.pointee.generation
    let count = recv(slot.pointee.descriptor, readBuffer.baseAddress, readBuffer.count, Int32(MSG_DONTWAIT))
    if count < 0 {
      if errno != EAGAIN && errno != EINTR { life.end(index) }
      return
    }
    if count > 0 {
      life.received(index, UnsafeMutableRawBufferPointer(rebasing: readBuffer.prefix(count)))
      if slot.pointee.generation != generation { return }
      // All that came before the peer's end of stream was there to be read: a short read has reached the end.
      guard isLast, count < readBuffer.count else { return }
    }
    life.peerFinished(index)
    if slot.pointee.generation == generation { arm(index) }
  }

  // MARK: epoll

  private static let reading = EPOLLIN.rawValue | EPOLLRDHUP.rawValue

  private static func token(_ connection: ConnectionID) -> UInt64 {
    UInt64(connection.generation) << 32 | UInt64(connection.slot)
  }

  /// Asks epoll for what the connection waits for, if that changed: to be read until the peer's end, to be written while
  /// something is put aside.
  func arm(_ index: UInt32) {
    let slot = writer.slots + Int(index)
    let reads = !slot.pointee.flags.contains(.peerFinished)
    let writes = slot.pointee.outstandingBytes > 0
    let armed = slot.pointee.flags
    if armed.contains(.armedRead) == reads, armed.contains(.armedWrite) == writes { return }
    let events = (reads ? Reactor.reading : 0) | (writes ? EPOLLOUT.rawValue : 0)
    let token = Reactor.token(writer.id(index))
    let status = avalo_epoll_control(epoll, EPOLL_CTL_MOD, slot.pointee.descriptor, events, token)
    precondition(status == 0, "epoll_ctl of a watched descriptor: errno \(-status)")
    slot.pointee.flags.remove([.armedRead, .armedWrite])
    if reads { slot.pointee.flags.insert(.armedRead) }
    if writes { slot.pointee.flags.insert(.armedWrite) }
  }
}

extension Reactor: Carrier {
  package func shutWriting(_ index: UInt32) {
    // Fails when the peer reset the connection meanwhile; epoll tells.
    shutdown(writer.slots[Int(index)].descriptor, Int32(SHUT_WR))
  }

  package func cut(_ index: UInt32) {
    let slot = writer.slots + Int(index)
    close(slot.pointee.descriptor)  // nobody else holds it: epoll forgets it
    slot.pointee.descriptor = -1
    shared.addresses?.release(slot.pointee.addressLease)
    placesFreed += 1
  }
}

extension Reactor {
  /// What the loop's thread does, from the application's birth to its end.
  private final class Main: LoopThread.Body {
    let reactor: Reactor
    let make: @Sendable (Reactor) -> any LoopApplication

    init(reactor: Reactor, make: @escaping @Sendable (Reactor) -> any LoopApplication) {
      self.reactor = reactor
      self.make = make
    }

    func run() {
      reactor.life.application = make(reactor)
      reactor.run()
    }
  }
}
