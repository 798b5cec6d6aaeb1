import CAvalo
import Glibc
import Histogram

/// The publishers of the load: kept-alive HTTP connections with several requests on the way on each.
///
/// Owned by a scenario, lives on the engine's thread and epoll. It never waits: `publish` says whether there was room,
/// `flush` writes what was gathered with one call per connection.
final class PublishPool {
  /// Answered with success.
  private(set) var accepted = 0
  /// Sent and not answered yet.
  private(set) var inFlight = 0
  private(set) var refusals = Tally()
  /// Sent on connections that ended before the answer: kept or not, nobody knows.
  private(set) var unanswered = 0
  /// Connections that the server ended behind an answer, as HTTP has it.
  private(set) var renewed = 0
  /// Highest accepted offset of each user, or of the one topic.
  let heads: UnsafeMutablePointer<UInt64>
  /// From when publishing was due to the answer, in µs.
  private(set) var acceptLatency = LoadEngine.histogram()

  private let target: Target
  private let template: PublishTemplate
  private let epoll: Int32
  private let topics: Int
  private let depth: Int
  private var connections: [PublishConnection] = []
  private var cursor = 0
  private var number = 0
  private let scratch: UnsafeMutableRawPointer

  /// `topics` is how many heads are kept; `depth` how many requests may be on the way on one connection.
  init(_ engine: LoadEngine, template: PublishTemplate, connections: Int, depth: Int, topics: Int) throws(BenchError) {
    target = engine.target
    epoll = engine.epoll
    self.template = template
    self.depth = depth
    self.topics = topics
    heads = .allocate(capacity: topics)
    heads.initialize(repeating: 0, count: topics)
    scratch = .allocate(byteCount: Limits.readBytes, alignment: 64)
    for _ in 0..<connections {
      self.connections.append(PublishConnection(depth: depth, requestBytes: template.byteCount))
    }
    do {
      for index in self.connections.indices { try connect(index) }
    } catch {
      throw .unavailable("Cannot connect to \(target.authority) to publish (\(error)). Is avalod running there?")
    }
    engine.publishers = self
  }

  deinit {
    for connection in connections { connection.close() }
    heads.deallocate()
    scratch.deallocate()
  }

  /// Room for this many more.
  var room: Int { depth * connections.count - inFlight }

  /// Puts one publish on its way with the next flush; false when every connection has as many as it may.
  func publish(user: Int, due: Nanoseconds) -> Bool {
    for _ in connections.indices {
      let connection = connections[cursor]
      cursor = cursor + 1 == connections.count ? 0 : cursor + 1
      guard connection.isOpen, connection.waiting < depth else { continue }
      connection.append(user: user, due: due) { template.write(user: user, number: number, due: due, to: $0) }
      number += 1
      inFlight += 1
      return true
    }
    return false
  }

  func flush() {
    for index in connections.indices where connections[index].hasUnsent { flush(index) }
  }

  /// Something happened on one connection.
  func handle(_ index: Int, _ what: UInt32) {
    if what & EPOLLOUT.rawValue != 0 { flush(index) }
    if what & ~EPOLLOUT.rawValue != 0 { read(index) }
  }

  func resetFigures() {
    accepted = 0
    refusals = Tally()
    unanswered = 0
    acceptLatency = LoadEngine.histogram()
  }

  private func connect(_ index: Int) throws(SocketError) {
    connections[index].descriptor = try Socket.connecting(to: target.address, from: nil)
    connections[index].awaitsRoom = true
    watch(index, EPOLL_CTL_ADD)
  }

  private func flush(_ index: Int) {
    let connection = connections[index]
    if let error = connection.flush() { return lose(index, error) }
    if connection.awaitsRoom != connection.hasUnsent {
      connection.awaitsRoom = connection.hasUnsent
      watch(index, EPOLL_CTL_MOD)
    }
  }

  private func watch(_ index: Int, _ operation: Int32) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | (connections[index].awaitsRoom ? EPOLLOUT.rawValue : 0)
    event.data.u64 = Tag(publisher: index).rawValue
    epoll_ctl(epoll, operation, connections[index].descriptor, &event)
  }

  private func read(_ index: Int) {
    let connection = connections[index]
    guard connection.isOpen else { return }
    let held = connection.held.count
    if held > 0 { memcpy(scratch, connection.held.bytes!, held) }
    let size = recv(connection.descriptor, scratch + held, Limits.readBytes - held, 0)
    guard size > 0 else {
      if size < 0, errno == EAGAIN || errno == EINTR { return }
      let error = Socket.pendingError(connection.descriptor)
      return lose(index, size == 0 ? "the server ended the connection" : SocketError("recv", error).description)
    }
    let now = Clock.now()
    var start = 0
    let end = held + size
    scan: while start < end {
      let bytes = UnsafeRawBufferPointer(start: scratch + start, count: end - start)
      switch PublishAnswer.look(bytes) {
      case .answer(let answer):
        guard connection.waiting > 0 else { return lose(index, "an answer that nobody asked for") }
        take(answer, bytes, connection.popFirst(), now)
        if answer.closes { return connectAnew(index) }
        start += answer.end
      case .incomplete: break scan
      case .broken: return lose(index, "no HTTP/1.1 answer with a Content-Length")
      }
    }
    connection.held.hold(scratch + start, end - start)
  }

  private func take(
    _ answer: PublishAnswer, _ bytes: UnsafeRawBufferPointer, _ asked: PublishConnection.Asked, _ now: Nanoseconds
  ) {
    inFlight -= 1
    let body = UnsafeRawBufferPointer(rebasing: bytes[answer.bodyStart..<answer.end])
    guard answer.status == 200, let offset = Glance.number(after: "\"offset\":", in: body) else {
      return refusals.add("\(answer.status) \(String(decoding: body.prefix(300), as: UTF8.self))")
    }
    accepted += 1
    heads[asked.user] = max(heads[asked.user], offset)
    acceptLatency.record((now - min(now, asked.due)) / 1_000)
  }

  /// A connection that ended is made anew; what was on its way is counted.
  private func lose(_ index: Int, _ reason: String) {
    let connection = connections[index]
    unanswered += connection.waiting
    inFlight -= connection.waiting
    refusals.add("connection lost: \(reason)")
    connection.close()
    // A server that keeps ending them is not asked for ever; the scenario sees the refusals.
    guard refusals.total < Limits.publishFailuresMax else { return }
    reconnect(index)
  }

  /// The server wants no more on this one: it drains. What was sent behind the last answer is not answered any more.
  private func connectAnew(_ index: Int) {
    let connection = connections[index]
    unanswered += connection.waiting
    inFlight -= connection.waiting
    renewed += 1
    connection.close()
    reconnect(index)
  }

  private func reconnect(_ index: Int) {
    do {
      try connect(index)
    } catch {
      refusals.add(error.description)
    }
  }
}
