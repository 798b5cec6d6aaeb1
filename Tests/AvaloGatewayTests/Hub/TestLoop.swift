import AvaloCore
import AvaloMetrics
import AvaloSystem
import AvaloWire
import Logging
import NIOCore
import Synchronization

@testable import AvaloGateway
@testable import AvaloReactor

/// A loop without sockets: connections whose peers are the test, a scheduler that is the test, time that stands still.
final class TestLoop: Carrier {
  let writer: ConnectionWriter
  let life: ConnectionLife
  let hub: Hub
  let port = TestPort()
  let clock = ManualClock()
  let metrics: GatewayMetrics
  private let mailbox: Mailbox<HubMail>
  private let registry = MetricsRegistry()
  private var seconds: UInt32 = 1000
  /// What each connection was sent, one JSON text a frame; by slot.
  private(set) var sent: [UInt32: [String]] = [:]
  /// Close codes by slot.
  private(set) var closes: [UInt32: UInt16] = [:]
  /// Slots whose kernel takes nothing, and what they are owed.
  var stuck: Set<UInt32> = []
  private var owed: [UInt32: [UInt8]] = [:]
  private var link: UInt32 = 0

  init(journal: DeliveryJournal? = nil) throws {
    metrics = GatewayMetrics(registry)
    writer = try ConnectionWriter(settings: LoopSettings())
    life = ConnectionLife(writer)
    mailbox = Mailbox(Waker(signal: {}))
    let policy = GatewayPolicy.forTests()
    let services = HubServices(port: port, loop: 1)
    hub = Hub(
      loop: 1, writer: writer, mailbox: mailbox, port: port, services: services,
      calls: CallContext(
        services: services, access: SharedAccess(policy.access), admission: Admission(), wall: clock.wall,
        monotonic: clock.monotonic, observer: CallMetrics(metrics)), policy: policy,
      metrics: HubMetrics(metrics, transport: "websocket"),
      clock: clock.wall, log: Logger(label: "test"), journal: journal)
    life.application = hub
    life.carrier = self
  }

  /// A series as it would be scraped: `avalo_resumes_total{outcome="recovered"}`.
  func metric(_ series: String) -> Double? {
    let page = String(decoding: registry.render(), as: UTF8.self)
    return page.split(separator: "\n").first { $0.hasPrefix(series + " ") }.flatMap {
      Double($0.dropFirst(series.count + 1))
    }
  }

  func shutWriting(_ index: UInt32) {}
  func cut(_ index: UInt32) {}

  /// One turn: `body` plays what came in.
  func turn(_ body: () -> Void = {}) {
    life.beginTurn(nowSeconds: seconds)
    hub.woken()
    body()
    life.tick()
    life.endInput()
    flush()
    writer.endTurn()
    hub.turnEnded()
  }

  func advance(_ by: UInt32) {
    for _ in 0..<by {
      seconds += 1
      clock.advance(by: .seconds(1))
      turn()
    }
  }

  func mail(_ mail: HubMail) { mailbox.post(mail) }

  func linkUp() {
    link += 1
    mail(.schedulerUp(link: link))
    turn()
  }

  func linkDown() {
    mail(.schedulerDown)
    turn()
  }

  /// Frames from the scheduler, in a turn of their own. What is unread it cannot say, unless the test took the question.
  func scheduler(_ build: (inout WireWriter) -> Void) {
    var writer = WireWriter()
    port.refuseReads(&writer)
    build(&writer)
    mail(.scheduler(ByteBuffer(bytes: writer.bytes)))
    turn()
  }

  /// Frames from the presence worker, in a turn of their own.
  func presence(_ build: (inout WireWriter) -> Void) {
    var writer = WireWriter()
    build(&writer)
    mail(.presence(ByteBuffer(bytes: writer.bytes)))
    turn()
  }

  func open(_ request: UpgradeRequest = UpgradeRequest(path: "/ws")) -> ConnectionID {
    var opened: ConnectionID?
    turn { opened = life.open(descriptor: -1, addressLease: 0, response: [], request: request) }
    return opened!
  }

  func say(_ connection: ConnectionID, _ json: String) {
    turn { hear(connection, json) }
  }

  /// A message of the turn that is under way.
  func hear(_ connection: ConnectionID, _ json: String) {
    Array(json.utf8).withUnsafeBytes { hub.message(connection, $0) }
  }

  func hangUp(_ connection: ConnectionID) {
    turn { life.end(connection.slot) }
  }

  /// What was sent to a connection since the last call.
  func take(_ connection: ConnectionID) -> [String] {
    defer { sent[connection.slot] = nil }
    return sent[connection.slot] ?? []
  }

  /// The kernel of a stuck connection takes everything.
  func unstick(_ connection: ConnectionID) {
    stuck.remove(connection.slot)
    turn {
      parse(connection.slot, owed.removeValue(forKey: connection.slot) ?? [])
      writer.slots[Int(connection.slot)].outstandingBytes = 0
      life.drained(connection.slot)
    }
  }

  private func flush() {
    for position in 0..<writer.dirtyCount {
      let index = writer.dirty[position]
      let slot = writer.slots + Int(index)
      if slot.pointee.flags.isGone { continue }
      var bytes: [UInt8] = []
      writer.eachPiece(slot) { bytes.append(contentsOf: $0) }
      if stuck.contains(index) || owed[index] != nil {
        owed[index, default: []] += bytes
        slot.pointee.outstandingBytes = UInt32(owed[index]!.count)
      } else {
        parse(index, bytes)
      }
      slot.pointee.turnBytes = 0
      life.sent(index)
    }
  }

  private func parse(_ slot: UInt32, _ bytes: [UInt8]) {
    var index = 0
    while index < bytes.count {
      let opcode = bytes[index] & 15
      var length = Int(bytes[index + 1])
      index += 2
      if length == 126 {
        length = Int(bytes[index]) << 8 | Int(bytes[index + 1])
        index += 2
      } else if length == 127 {
        length = bytes[(index + 4)..<(index + 8)].reduce(0) { $0 << 8 | Int($1) }
        index += 8
      }
      let payload = bytes[index..<(index + length)]
      index += length
      if opcode == 1 {
        let frame = String(decoding: payload, as: UTF8.self)
        Contract.check(frame: frame)
        sent[slot, default: []].append(frame)
      }
      if opcode == 8 { closes[slot] = UInt16(payload.first!) << 8 | UInt16(payload.dropFirst().first!) }
    }
  }
}

/// Records what a hub sends to the rest of the gateway.
final class TestPort: HubPort, @unchecked Sendable {
  // Tests run hubs and their port on one thread.
  private(set) var frames: [(kind: FrameKind, correlation: UInt32, body: [UInt8])] = []
  private(set) var presence: [(kind: FrameKind, correlation: UInt32, body: [UInt8])] = []
  private(set) var requests: [(request: ServiceRequest, id: UInt32)] = []
  private(set) var broken: [String] = []
  private(set) var brokenPresence: [String] = []
  /// With how many requests were made before and not taken.
  private(set) var applied: [(position: UInt64, link: UInt32, requests: Int)] = []

  func toScheduler(_ bytes: [UInt8], link: UInt32) {
    TestPort.split(bytes) { frames.append(($0.kind, $0.correlation, $1)) }
  }
  func toPresence(_ bytes: [UInt8], snapshotEnds: Bool) {
    TestPort.split(bytes) { presence.append(($0.kind, $0.correlation, $1)) }
    if snapshotEnds { presence.append((.sessionsEnd, 0, [])) }
  }
  func request(_ request: ServiceRequest, loop: UInt8, id: UInt32) { requests.append((request, id)) }
  /// The requests that `pick` knows, since the last time, with the numbers to answer them under.
  func takeRequests<Picked>(_ pick: (ServiceRequest) -> Picked?) -> [(request: Picked, id: UInt32)] {
    let mine = requests.compactMap { request in pick(request.request).map { ($0, request.id) } }
    requests.removeAll { pick($0.request) != nil }
    return mine
  }
  func breakSchedulerLink(reason: String) { broken.append(reason) }
  func accessApplied(_ position: UInt64, loop: UInt8, link: UInt32) { applied.append((position, link, requests.count)) }
  func breakPresenceLink(reason: String) { brokenPresence.append(reason) }

  /// As ``take(_:)``, of what was sent to the presence worker.
  func takePresence<Message: WireMessage>(_: Message.Type) throws -> [(message: Message, correlation: UInt32)] {
    let mine = presence.filter { $0.kind == Message.kind }
    presence.removeAll { $0.kind == Message.kind }
    return try mine.map { frame in (try frame.body.withUnsafeBytes { try Message(body: $0) }, frame.correlation) }
  }

  /// The messages of one kind since the last time, with their correlations.
  func take<Message: WireMessage>(_: Message.Type) throws -> [(message: Message, correlation: UInt32)] {
    let mine = frames.filter { $0.kind == Message.kind }
    frames.removeAll { $0.kind == Message.kind }
    return try mine.map { frame in (try frame.body.withUnsafeBytes { try Message(body: $0) }, frame.correlation) }
  }

  /// Refuses what was asked about read state and nobody took.
  func refuseReads(_ writer: inout WireWriter) {
    for frame in frames where frame.kind == .queryReads {
      writer.frame(Failed(.unavailable, "not now"), correlation: frame.correlation)
    }
    frames.removeAll { $0.kind == .queryReads }
  }

  private static func split(_ bytes: [UInt8], _ each: (Frame.Head, [UInt8]) -> Void) {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard let head = rest.withUnsafeBytes({ try? Frame.head(of: $0) }) else { return }
      let body = rest.dropFirst(Frame.headBytes).prefix(head.bodyBytes)
      each(head, Array(body))
      rest = rest.dropFirst(Frame.headBytes + head.bodyBytes)
    }
  }
}
