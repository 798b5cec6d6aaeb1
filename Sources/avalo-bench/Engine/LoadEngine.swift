import AvaloCore
import CAvalo
import Glibc
import Histogram

/// The load: thousands of WebSocket clients on one thread and one epoll, cheaper than any server they talk to.
///
/// A scenario owns it and drives it: it opens clients, lets turns pass, and reads what was seen. Every client has one
/// topic, whose offsets are checked one by one where they lie; nothing is parsed or allocated per event. It runs on the
/// thread that made it, knows the protocol only as far as a client that listens must, and decides nothing: how many,
/// how fast and what to make of it is the scenario's.
final class LoadEngine {
  let target: Target
  /// What each client says first after the upgrade. A scenario replaces them before it reconnects.
  var greetings: PackedBytes
  let count: Int
  let clients: UnsafeMutablePointer<LoadClient>

  // What was seen.
  /// Clients that are on their way from `open` to live.
  private(set) var opening = 0
  private(set) var live = 0
  /// Events, each counted once however often it came: nobody stops to wait for one because another came twice.
  private(set) var received: UInt64 = 0
  private(set) var receivedBytes: UInt64 = 0
  private(set) var failures = Tally()
  /// Connections that ended after they were live, not by us.
  private(set) var drops = Tally()
  /// From when connecting was due, in µs.
  private(set) var readyLatency = LoadEngine.histogram()
  private(set) var liveLatency = LoadEngine.histogram()
  /// From when publishing was due, in µs.
  var deliveryLatency = LoadEngine.histogram()

  let epoll: Int32
  /// Handles events that are not of clients: the publishers.
  var publishers: PublishPool?
  /// Set while clients whose connection ends come back; without it, an end is a failure.
  var returns: Returns?
  /// Set while clients watch each other: their events are of no log, and are looked at there.
  var presence: PresenceWatch?
  private let events: UnsafeMutablePointer<epoll_event>
  private let scratch: UnsafeMutableRawPointer
  private let upgrade: [UInt8]
  private let ping = ClientFrame.text(#"{"ping":{}}"#)
  /// What a socket would not take at once; rare.
  private var unsent: [Int: [UInt8]] = [:]
  /// Where the publisher's time lay in the frame looked at last: events of one run are alike.
  private var sentAtHint = 0
  private var pingCursor = 0
  private var pinged: Nanoseconds = 0

  init(target: Target, greetings: PackedBytes) throws(BenchError) {
    self.target = target
    self.greetings = greetings
    count = greetings.count
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw .failed("epoll_create1: \(String(cString: strerror(errno)))") }
    clients = .allocate(capacity: count)
    clients.initialize(repeating: LoadClient(), count: count)
    events = .allocate(capacity: Limits.eventsPerTurn)
    events.initialize(repeating: epoll_event(), count: Limits.eventsPerTurn)
    scratch = .allocate(byteCount: Limits.readBytes, alignment: 64)
    upgrade = Handshake.request(authority: target.authority)
  }

  deinit {
    for index in 0..<count {
      if clients[index].descriptor >= 0 { Socket.cut(clients[index].descriptor) }
      clients[index].held.release()
    }
    close(epoll)
    clients.deallocate()
    events.deallocate()
    scratch.deallocate()
  }

  static func histogram() -> Histogram<UInt64> {
    // One hour in µs; longer cannot be measured here.
    Histogram<UInt64>(highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: .three)
  }

  /// Waits until something happens, but not beyond `deadline`, and handles it.
  func turn(until deadline: Nanoseconds) {
    let now = Clock.now()
    let deadline = min(deadline, returns?.nextDue ?? .max)
    let wait = deadline > now ? Int64(deadline - now) : 0
    // Never for long: pings are due.
    let ready = avalo_epoll_wait(epoll, events, Int32(Limits.eventsPerTurn), min(wait, 50_000_000))
    for place in 0..<max(0, Int(ready)) {
      let tag = Tag(rawValue: events[place].data.u64)
      let what = events[place].events
      if tag.isPublisher {
        publishers?.handle(tag.index, what)
      } else if clients[tag.index].generation == tag.generation, clients[tag.index].descriptor >= 0 {
        handle(tag.index, what)
      }
    }
    comeBack()
    sendPings(Clock.now())
  }

  private func comeBack() {
    guard let returns else { return }
    let now = Clock.now()
    while let (due, index) = returns.popDue(now) { open(index, due: due) }
  }

  private func handle(_ index: Int, _ what: UInt32) {
    if what & EPOLLOUT.rawValue != 0 {
      if clients[index].phase == .connecting { askForUpgrade(index) } else { sendRest(index) }
    }
    // Also after a hang-up: what the server said before is still to be read.
    if what & ~EPOLLOUT.rawValue != 0, clients[index].descriptor >= 0 { read(index) }
  }

  // MARK: Opening and closing

  /// Starts to connect a client. `due` is when that should have happened.
  func open(_ index: Int, due: Nanoseconds) {
    precondition(clients[index].descriptor < 0, "client \(index) is open")
    opening += 1
    clients[index].due = due
    do {
      clients[index].descriptor = try Socket.connecting(to: target.address, from: target.source(of: index))
    } catch {
      opening -= 1
      failures.add(error.description)
      return
    }
    clients[index].phase = .connecting
    clients[index].awaitsRoom = true
    watch(index, EPOLL_CTL_ADD)
  }

  private func askForUpgrade(_ index: Int) {
    let error = Socket.pendingError(clients[index].descriptor)
    guard error == 0 else { return fail(index, SocketError("connect", error).description) }
    clients[index].phase = .upgrading
    clients[index].awaitsRoom = false
    watch(index, EPOLL_CTL_MOD)
    upgrade.withUnsafeBytes { send(index, $0) }
  }

  /// Ends every connection at once, as a cut cable would: what the clients have seen stays known.
  func cutAll() {
    for index in 0..<count where clients[index].descriptor >= 0 { end(index) }
  }

  private func fail(_ index: Int, _ reason: @autoclosure () -> String) {
    if let returns {
      if clients[index].phase != .live, clients[index].returnDue == 0 { failures.add(reason()) }
      returns.left(index, due: clients[index].returnDue, now: Clock.now(), reason: reason())
      return end(index)
    }
    if clients[index].phase == .live { drops.add(reason()) } else { failures.add(reason()) }
    end(index)
  }

  private func end(_ index: Int) {
    if clients[index].phase == .live { live -= 1 } else { opening -= 1 }
    Socket.cut(clients[index].descriptor)
    clients[index].descriptor = -1
    clients[index].generation = (clients[index].generation + 1) & Tag.generationMask
    clients[index].phase = .closed
    clients[index].returnDue = 0
    clients[index].awaitsRoom = false
    clients[index].held.release()
    unsent[index] = nil
  }

  private func watch(_ index: Int, _ operation: Int32) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | (clients[index].awaitsRoom ? EPOLLOUT.rawValue : 0)
    event.data.u64 = Tag(client: index, generation: clients[index].generation).rawValue
    epoll_ctl(epoll, operation, clients[index].descriptor, &event)
  }

  // MARK: Writing

  func send(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
    if unsent[index] != nil {
      unsent[index]!.append(contentsOf: bytes)
      return
    }
    let sent = Glibc.send(clients[index].descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    if sent == bytes.count { return }
    guard sent >= 0 || errno == EAGAIN else { return fail(index, SocketError("send", errno).description) }
    unsent[index] = Array(bytes[max(0, sent)...])
    clients[index].awaitsRoom = true
    watch(index, EPOLL_CTL_MOD)
  }

  private func sendRest(_ index: Int) {
    clients[index].awaitsRoom = false
    watch(index, EPOLL_CTL_MOD)
    guard let rest = unsent.removeValue(forKey: index) else { return }
    rest.withUnsafeBytes { send(index, $0) }
  }

  /// One round of pings a `Limits.pingSeconds`, spread evenly: a burst of them would be a load of its own.
  private func sendPings(_ now: Nanoseconds) {
    if pinged == 0 { pinged = now }
    let each = Clock.nanoseconds(Limits.pingSeconds) / UInt64(max(count, 1))
    while now - pinged > each {
      pinged += each
      if clients[pingCursor].phase == .live { ping.withUnsafeBytes { send(pingCursor, $0) } }
      pingCursor = (pingCursor + 1) % count
    }
  }

  // MARK: Reading

  private func read(_ index: Int) {
    let held = clients[index].held.count
    if held > 0 { memcpy(scratch, clients[index].held.bytes!, held) }
    let size = recv(clients[index].descriptor, scratch + held, Limits.readBytes - held, 0)
    guard size > 0 else {
      if size < 0, errno == EAGAIN || errno == EINTR { return }
      let reason = size == 0 ? "the server ended the connection" : SocketError("recv", errno).description
      return fail(index, "\(reason) (\(clients[index].phase))")
    }
    receivedBytes &+= UInt64(size)
    var start = 0
    let end = held + size
    if clients[index].phase == .upgrading {
      guard let head = readUpgrade(index, end) else { return }
      start = head
    }
    let now = Clock.now()
    scan: while true {
      switch ServerFrame.look(scratch, from: start, to: end) {
      case .frame(let frame):
        take(index, frame, now)
        // What was taken may have ended the connection.
        guard clients[index].descriptor >= 0 else { return }
        start = frame.end
      case .incomplete:
        break scan
      case .broken:
        return fail(index, "the server sent what is no frame of its own")
      }
    }
    clients[index].held.hold(scratch + start, end - start)
  }

  /// The offset behind the answer's head; `nil` when it is not whole or refused.
  private func readUpgrade(_ index: Int, _ end: Int) -> Int? {
    let bytes = UnsafeRawBufferPointer(start: scratch, count: end)
    guard let head = Glance.find("\r\n\r\n", in: bytes) else {
      if end > Limits.answerHeadBytesMax {
        fail(index, "the answer to the upgrade has no end")
      } else {
        clients[index].held.hold(scratch, end)
      }
      return nil
    }
    guard Handshake.isAccepted(UnsafeRawBufferPointer(rebasing: bytes[..<head])) else {
      fail(index, "upgrade refused: " + String(decoding: bytes.prefix(300), as: UTF8.self).replacingLineEnds())
      return nil
    }
    clients[index].phase = .authenticating
    if let returns {
      returns.greeting(index).withUnsafeBytes { send(index, $0) }
    } else {
      greetings.withBytes(of: index) { send(index, $0) }
    }
    return clients[index].descriptor >= 0 ? head : nil
  }

  @inline(__always) private func take(_ index: Int, _ frame: ServerFrame, _ now: Nanoseconds) {
    let payload = UnsafeRawBufferPointer(start: scratch + frame.payloadStart, count: frame.payloadCount)
    switch frame.opcode {
    case ServerFrame.text:
      if Glance.kind(payload) != .event {
        takeOther(index, payload, now)
      } else if let presence {
        presence.take(index, payload, now)
      } else {
        takeEvent(index, payload, now)
      }
    case ServerFrame.ping:
      ClientFrame.make(opcode: ServerFrame.pong, payload).withUnsafeBytes { send(index, $0) }
    case ServerFrame.pong: break
    case ServerFrame.close:
      let code = payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : 1005
      fail(index, "closed with \(code) \(String(decoding: payload.dropFirst(2), as: UTF8.self))")
    default:
      fail(index, "a frame of kind \(frame.opcode)")
    }
  }

  @inline(__always) private func takeEvent(_ index: Int, _ json: UnsafeRawBufferPointer, _ now: Nanoseconds) {
    let isNew: Bool
    if let offset = Glance.trailingOffset(json) {
      if !clients[index].isPlaced { place(index, before: offset) }
      isNew = clients[index].sequence.accept(offset)
    } else {
      isNew = takeUnusualEvent(index, json)
    }
    if isNew { received &+= 1 }
    if let sent = PublishTemplate.sentAt(json, hint: &sentAtHint), now >= sent {
      deliveryLatency.record((now - sent) / 1_000)
    }
  }

  /// With an epoch, something skipped, or ahead of its turn: the first of a topic on a connection, then few.
  private func takeUnusualEvent(_ index: Int, _ json: UnsafeRawBufferPointer) -> Bool {
    guard let frame = try? JSONView(validating: json), let offset = frame["offset"]?.integer else {
      fail(index, "an event without an offset: \(String(decoding: json.prefix(200), as: UTF8.self))")
      return false
    }
    if frame["ahead"]?.boolean == true { return true }
    noteEpoch(index, frame)
    if let skipped = frame["skipped"] { tell(index, skipped) }
    if !clients[index].isPlaced { place(index, before: UInt64(offset)) }
    return clients[index].sequence.accept(UInt64(offset))
  }

  private func takeOther(_ index: Int, _ json: UnsafeRawBufferPointer, _ now: Nanoseconds) {
    let kind = Glance.kind(json)
    if kind == .pong { return }
    guard let frame = try? JSONView(validating: json) else { return fail(index, "a frame that is not JSON") }
    switch kind {
    case .ready:
      if let denied = frame["ready"]?["denied"], denied.count > 0 {
        return fail(index, "denied: \(String(decoding: denied.raw, as: UTF8.self))")
      }
      guard clients[index].phase == .authenticating else { return }
      clients[index].phase = .ready
      readyLatency.record((now - min(now, clients[index].due)) / 1_000)
    case .live:
      guard let live = frame["live"], let head = live["offset"]?.integer else {
        return fail(index, "a broken live frame")
      }
      noteEpoch(index, live)
      becomeLive(index, head: UInt64(head), now)
    case .gap:
      guard let gap = frame["gap"] else { return }
      noteEpoch(index, gap)
      tell(index, gap)
    case .goaway:
      guard returns != nil, let wait = frame["goaway"]?["retryAfterMs"]?.integer else { return }
      clients[index].returnDue = now + Nanoseconds(max(0, wait)) * 1_000_000
    case .answer: presence?.answered(index, frame, now)
    case .error, .event, .pong, .unknown:
      // An error frame comes before the close that ends the connection, which counts it.
      if kind != .error { return fail(index, "an unknown frame: \(String(decoding: json.prefix(200), as: UTF8.self))") }
      drops.add("error frame: \(String(decoding: json.prefix(200), as: UTF8.self))")
    }
  }

  private func becomeLive(_ index: Int, head: UInt64, _ now: Nanoseconds) {
    if clients[index].isPlaced {
      clients[index].sequence.reach(head)
    } else {
      place(index, before: head + 1)
    }
    guard clients[index].phase != .live else { return }
    clients[index].phase = .live
    opening -= 1
    live += 1
    returns?.isLive(index, now)
    liveLatency.record((now - min(now, clients[index].due)) / 1_000)
  }

  private func place(_ index: Int, before offset: UInt64) {
    clients[index].sequence = OffsetSequence(after: max(offset, 1) - 1)
    clients[index].isPlaced = true
  }

  private func noteEpoch(_ index: Int, _ view: JSONView) {
    guard let epoch = view["epoch"]?.string.flatMap(Epoch.init)?.rawValue else { return }
    if clients[index].epoch != 0, clients[index].epoch != epoch {
      drops.add("the topic's epoch changed: its log was lost")
    }
    clients[index].epoch = epoch
  }

  private func tell(_ index: Int, _ range: JSONView) {
    guard let from = range["from"]?.integer, let to = range["to"]?.integer else { return }
    clients[index].sequence.tell(from: UInt64(from), through: UInt64(to))
  }

  /// Forgets the latencies and counts seen so far, not what the clients know.
  func resetFigures() {
    readyLatency = LoadEngine.histogram()
    liveLatency = LoadEngine.histogram()
    deliveryLatency = LoadEngine.histogram()
    received = 0
    receivedBytes = 0
  }
}
