import AvaloCore
import AvaloMetrics
import AvaloStore
import AvaloStoreSQLite
import AvaloTesting
import AvaloWire
import Logging
import Synchronization
import Testing

@testable import AvaloScheduler

/// The engines that matter to the core: one that only remembers, one with a file.
enum LogKind: String, CaseIterable, CustomTestStringConvertible {
  case memory, sqlite
  var testDescription: String { rawValue }
}

/// A frame, as the gateway that gets it reads it.
enum Told: Equatable, Sendable {
  case published(UInt32, Published)
  case broadcasted(UInt32, Broadcasted)
  /// All granted, none by membership.
  case attached(UInt32, [Position])
  case answered(UInt32, [Attached.Answer])
  case changed(UInt64, [AccessChanged.Change])
  case accessLive(UInt64)
  case membersChanged(UInt32, MembersChanged)
  case memberList(UInt32, MemberList)
  case memberships(UInt32, [UInt64])
  case membershipsOf(UInt32, [String])
  case leaseLost(UInt32, LeaseLost)
  case latestAt(UInt32, UInt64)
  case revoked(UInt32)
  case erased(UInt32, Erased)
  case watched(UInt32, [Head])
  case unwatched(UInt32, [UInt32])
  case lagged([Head])
  case delivered(String, [Deliver.Target])
  case failed(UInt32, StatusCode)
  case page(UInt32, through: UInt64, [UInt64])
  case markedRead(UInt32, MarkedRead)
  case readState(UInt32, ReadState)
  case starts(UInt32, [Position])
  case polled(UInt32, [String])
  case latest(String, version: UInt64, [UInt32])
  case begun(UInt32, BroadcastBegun)
  case partTaken(UInt32, UInt32)
  case broadcastStatus(UInt32, BroadcastStatus)
  case delayedCancelled(UInt32, DelayedCancelled)
  case following(UInt32, Following)
  case grew(FollowedGrew)
  case followedErased(FollowedErased)

  static func read(_ frames: [UInt8]) throws -> [Told] {
    var told: [Told] = []
    try frames.withUnsafeBytes { bytes in
      var rest = bytes
      while let head = try Frame.head(of: rest) {
        let end = Frame.headBytes + head.bodyBytes
        told.append(try Told(head, UnsafeRawBufferPointer(rebasing: rest[Frame.headBytes..<end])))
        rest = UnsafeRawBufferPointer(rebasing: rest[end...])
      }
      #expect(rest.isEmpty, "half a frame")
    }
    return told
  }

  init(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws {
    switch head.kind {
    case .published: self = .published(head.correlation, try Published(body: body))
    case .broadcasted: self = .broadcasted(head.correlation, try Broadcasted(body: body))
    case .attached:
      let answers = try Attached(body: body).answers
      let positions = answers.compactMap { if case .granted(let position, since: 0) = $0 { position } else { nil } }
      self =
        positions.count == answers.count
        ? .attached(head.correlation, positions) : .answered(head.correlation, answers)
    case .accessChanged:
      let step = try AccessChanged(body: body)
      self = .changed(step.position, step.changes)
    case .accessLive: self = .accessLive(try AccessLive(body: body).position)
    case .membersChanged: self = .membersChanged(head.correlation, try MembersChanged(body: body))
    case .memberList: self = .memberList(head.correlation, try MemberList(body: body))
    case .membershipAnswer: self = .memberships(head.correlation, try MembershipAnswer(body: body).since)
    case .latestAt: self = .latestAt(head.correlation, try LatestAt(body: body).version)
    case .leaseLost: self = .leaseLost(head.correlation, try LeaseLost(body: body))
    case .memberships: self = .membershipsOf(head.correlation, try Memberships(body: body).chats.sorted())
    case .revoked:
      _ = try Revoked(body: body)
      self = .revoked(head.correlation)
    case .erased: self = .erased(head.correlation, try Erased(body: body))
    case .watched: self = .watched(head.correlation, try Watched(body: body).heads)
    case .unwatched: self = .unwatched(head.correlation, try Unwatched(body: body).handles)
    case .lagged: self = .lagged(try Lagged(body: body).heads)
    case .failed: self = .failed(head.correlation, try Failed(body: body).code)
    case .markedRead: self = .markedRead(head.correlation, try MarkedRead(body: body))
    case .broadcastBegun: self = .begun(head.correlation, try BroadcastBegun(body: body))
    case .broadcastPartTaken: self = .partTaken(head.correlation, try BroadcastPartTaken(body: body).received)
    case .broadcastStatus: self = .broadcastStatus(head.correlation, try BroadcastStatus(body: body))
    case .delayedCancelled: self = .delayedCancelled(head.correlation, try DelayedCancelled(body: body))
    case .starts: self = .starts(head.correlation, try Starts(body: body).positions)
    case .polled: self = .polled(head.correlation, try Polled(body: body).topics.map(\.name))
    case .readState: self = .readState(head.correlation, try ReadState(body: body))
    case .following: self = .following(head.correlation, try Following(body: body))
    case .followedErased: self = .followedErased(try FollowedErased(body: body))
    case .followedGrew: self = .grew(try FollowedGrew(body: body))
    case .latest:
      let latest = try Latest(body: body)
      self = .latest(
        String(decoding: latest.record.payload, as: UTF8.self), version: latest.version,
        (0..<latest.targetCount).map { latest.target($0) }.sorted())
    case .readResult:
      let page = try ReadResult(body: body)
      var offsets: [UInt64] = []
      page.forEachRow { offset, _ in offsets.append(offset) }
      self = .page(head.correlation, through: page.through, offsets)
    case .deliver:
      let deliver = try Deliver(body: body)
      self = .delivered(
        String(decoding: deliver.record.payload, as: UTF8.self),
        (0..<deliver.targetCount).map { deliver.target($0) })
    default: throw WireError.unexpectedKind(head.kind.rawValue)
    }
  }
}

/// Takes the answers to questions, which come on the engine's thread: in tests of the core, the test's own.
final class Answers: Sendable {
  private let answers = Mutex<[Answer]>([])
  var all: [Answer] { answers.withLock { $0 } }
  func ask(_ question: Question) -> Command { .ask(question, reply: { [answers = self] in answers.add($0) }) }
  private func add(_ answer: Answer) { answers.withLock { $0.append(answer) } }
}

/// A core over a log that can be made to fail, a clock that stands still, and short words for what gateways say.
final class CoreBench {
  static let start: Int64 = 1_700_000_000_000
  static let small = SchedulerSettings()

  let engine: LogKind
  let folder = TestFolder()
  let registry = MetricsRegistry()
  let metrics: SchedulerMetrics
  let settings: SchedulerSettings
  private(set) var log: FaultyLog
  private(set) var core: SchedulerCore
  var now = Moment(wall: CoreBench.start, monotonic: 1_000_000)
  private(set) var gauges: [LinkID: LinkGauge] = [:]
  /// Bytes that wait in a link because the test says so.
  private var waiting: [LinkID: Int] = [:]
  private(set) var cuts: [LinkID] = []
  /// Questions about read state that turns handed on.
  private(set) var queries: [QueryReads] = []
  private var lastLink: UInt32 = 0
  private var lastCorrelation: UInt32 = 0

  init(_ engine: LogKind = .memory, _ settings: SchedulerSettings = SchedulerSettings()) throws {
    self.engine = engine
    self.settings = settings
    metrics = SchedulerMetrics(registry)
    log = FaultyLog(try CoreBench.open(engine, folder))
    core = try SchedulerCore(log: log, settings: settings, metrics: metrics, logger: CoreBench.quiet, at: now)
  }

  static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private static func open(
    _ engine: LogKind, _ folder: TestFolder, boot: String = "boot"
  ) throws -> any EventLog {
    switch engine {
    case .memory: MemoryEventLog(nowMilliseconds: start)
    case .sqlite:
      try SQLiteEventLog(
        LogFile(path: folder.path + "/events.sqlite", durability: .os, bootID: boot), nowMilliseconds: start)
    }
  }

  /// The process dies without a word and another begins on what it left. Links are gone.
  func crash(boot: String = "boot") throws {
    precondition(engine == .sqlite, "memory does not survive its process")
    // The old core, its log and the log's lock go first.
    let placeholder = FaultyLog(MemoryEventLog(nowMilliseconds: CoreBench.start))
    log = placeholder
    core = try SchedulerCore(log: log, settings: settings, metrics: metrics, logger: CoreBench.quiet, at: now)
    log = FaultyLog(try CoreBench.open(engine, folder, boot: boot))
    core = try SchedulerCore(log: log, settings: settings, metrics: metrics, logger: CoreBench.quiet, at: now)
    gauges.removeAll()
  }

  // MARK: Turns

  /// One turn; what each link was told.
  @discardableResult func turn(_ commands: [Command] = []) throws -> [LinkID: [Told]] {
    let output = core.turn(commands, at: now)
    cuts += output.cuts.map(\.link)
    queries += output.queries.map(\.query)
    var told: [LinkID: [Told]] = [:]
    for (link, frames) in output.sends {
      #expect(told[link] == nil, "one run of frames a link and turn")
      told[link] = try Told.read(frames)
      gauges[link]?.sent(frames.count, waiting: waiting[link] ?? 0)
    }
    return told
  }

  /// One turn of one link's commands; what that link was told.
  @discardableResult func turn(_ link: LinkID, _ commands: Command...) throws -> [Told] {
    try turn(commands)[link] ?? []
  }

  /// What people ask, in a turn of its own; the answers in order.
  func ask(_ questions: Question...) throws -> [Answer] {
    let answers = Answers()
    try turn(questions.map { answers.ask($0) })
    return answers.all
  }

  /// All that waits to be done between turns.
  func housekeep() {
    for _ in 0..<10_000 where !core.housekeep(isIdle: true, at: now) { return }
    Issue.record("housekeeping never ends")
  }

  /// So much waits in the link from now on, whatever is sent.
  func wait(in link: LinkID, _ bytes: Int) {
    waiting[link] = bytes
    gauges[link]?.waits(bytes)
  }

  func advance(_ milliseconds: Int64) {
    now.wall += milliseconds
    now.monotonic += milliseconds
  }

  // MARK: What gateways say

  func correlation() -> UInt32 {
    lastCorrelation += 1
    return lastCorrelation
  }

  /// A new link of a gateway's life, open after a turn.
  func link(incarnation: UInt64 = 1) throws -> LinkID {
    let (id, opened) = newLink(incarnation: incarnation)
    try turn([opened])
    return id
  }

  /// A new link, and the command that opens it.
  func newLink(incarnation: UInt64, isGateway: Bool = true) -> (LinkID, Command) {
    lastLink += 1
    let id = LinkID(rawValue: lastLink)
    let gauge = LinkGauge()
    gauges[id] = gauge
    return (
      id,
      .linkOpened(
        id, instance: "gateway.\(incarnation)", incarnation: incarnation, isGateway: isGateway, gauge: gauge)
    )
  }

  func publish(
    _ link: LinkID, _ topic: String, _ payload: String = #"{"n":1}"#, id: String = "e1", owner: String = "shop",
    as correlation: UInt32? = nil, type: EventType = .notification, priority: Priority = .normal, ttl: UInt32? = nil,
    content: UInt64? = nil, deliverAt: Int64 = 0, timestamp: Int64 = CoreBench.start
  ) -> Command {
    .publish(
      link, correlation: correlation ?? self.correlation(),
      Publish(
        owner: owner, topic: Topic(topic)!, contentHash: content ?? CoreBench.hash(payload),
        deliverAtMilliseconds: deliverAt,
        record: CoreBench.record(payload, id: id, type: type, priority: priority, ttl: ttl, timestamp: timestamp)))
  }

  func broadcast(
    _ link: LinkID, to users: [String], _ payload: String = #"{"b":1}"#, id: String = "b1",
    as correlation: UInt32? = nil, ttl: UInt32? = nil
  ) -> Command {
    .broadcast(
      link, correlation: correlation ?? self.correlation(),
      Broadcast(
        owner: "shop", contentHash: CoreBench.hash(payload),
        record: CoreBench.record(payload, id: id, type: .notification, priority: .normal, ttl: ttl),
        recipients: users))
  }

  /// - `ifMember`: topics that were granted by nothing else.
  func attach(
    _ link: LinkID, _ session: UInt64, user: String = "ann", device: String = "phone", topics: [String]? = nil,
    ifMember: [String] = [], ticket: String = "", token: String = "", issued: Int64 = 0, platform: Platform = .web,
    isPassing: Bool = false, as correlation: UInt32? = nil
  ) -> Command {
    .attach(
      link, correlation: correlation ?? self.correlation(),
      Attach(
        session: session, token: TokenName(user: user, tokenID: token, issuedAtMilliseconds: issued), device: device,
        platform: platform, topics: wanted(topics ?? ["user:" + user], ifMember), ticket: ticket,
        isPassing: isPassing))
  }

  /// Where a client would start that subscribes; kept for polls of the connection, if it names one.
  func starts(
    _ link: LinkID, _ topics: [String], user: String = "ann", device: String = "", connection: String = "",
    presented: [String: Position] = [:], issued: Int64 = 0, as correlation: UInt32? = nil
  ) -> Command {
    .access(
      link, correlation: correlation ?? self.correlation(),
      .starts(
        StartsQuery(
          token: TokenName(user: user, issuedAtMilliseconds: issued), device: device, connection: connection,
          topics: topics.map { .init(Topic($0)!, at: presented[$0] ?? .none) })))
  }

  /// What the connection's polls are of.
  func polled(_ link: LinkID, _ connection: String, user: String = "ann") throws -> [String]? {
    let told = try turn(
      link, .access(link, correlation: 77, .polled(PolledQuery(user: user, connection: connection))))
    guard case .polled(77, let topics)? = told.first, told.count == 1 else { return nil }
    return topics
  }

  /// Takes topics off what the connection's polls are of.
  func stopPolling(
    _ link: LinkID, _ topics: [String], connection: String, issued: Int64 = 0, as correlation: UInt32? = nil
  ) -> Command {
    .access(
      link, correlation: correlation ?? self.correlation(),
      .stopPolling(
        StopPolling(
          token: TokenName(user: "ann", issuedAtMilliseconds: issued), connection: connection,
          topics: topics.map { Topic($0)! })))
  }

  func cursors(
    _ link: LinkID, _ session: UInt64, _ topics: [String], user: String = "ann", ifMember: [String] = [],
    as correlation: UInt32? = nil
  ) -> Command {
    .cursors(
      link, correlation: correlation ?? self.correlation(),
      Cursors(session: session, user: user, topics: wanted(topics, ifMember)))
  }

  func wanted(_ granted: [String], _ ifMember: [String] = []) -> [Attach.Wanted] {
    granted.map { Attach.Wanted(Topic($0)!, isGranted: true) }
      + ifMember.map { Attach.Wanted(Topic($0)!, isGranted: false) }
  }

  func watch(
    _ link: LinkID, _ entries: [(UInt32, String)], at position: Position = .none, as correlation: UInt32? = nil
  ) -> Command {
    .watch(
      link, correlation: correlation ?? self.correlation(),
      Watch(entries: entries.map { .init(handle: $0.0, topic: Topic($0.1)!, position: position) }))
  }

  func acknowledge(_ link: LinkID, _ session: UInt64, _ handle: UInt32, _ topic: String, _ offset: UInt64) -> Command {
    .acknowledge(
      link, Acknowledge(entries: [.init(session: session, handle: handle, position: position(topic, offset))]))
  }

  // MARK: What is there

  func position(_ topic: String, _ offset: UInt64) -> Position {
    Position(epoch: log.identity.epoch(of: topic), offset: offset)
  }

  func head(_ handle: UInt32, _ topic: String, _ offset: UInt64, floor: UInt64 = 0) -> Head {
    Head(handle: handle, position: position(topic, offset), floor: floor)
  }

  func published(_ correlation: UInt32, _ topic: String, _ offset: UInt64, duplicate: Bool = false) -> Told {
    .published(
      correlation,
      Published(position: position(topic, offset), durability: log.durability, duplicate: duplicate))
  }

  /// The payloads of a topic, by offset.
  func events(_ topic: String) throws -> [UInt64: String] {
    let request = ReadRequest(
      topic: topic, epoch: log.identity.epoch(of: topic), after: 0, upTo: .max, bytesMax: 1 << 20,
      nowMilliseconds: now.wall)
    guard case .page(let page) = try log.reader().read(request) else { return [:] }
    return Dictionary(
      uniqueKeysWithValues: page.rows.map { row in
        (row.offset, row.record.withUnsafeBytes { String(decoding: EventRecord($0)!.payload, as: UTF8.self) })
      })
  }

  /// What a user has not read of chats they are in, and who has read what, as it is counted beside the engine.
  func readState(of user: String, _ chats: [String]) throws -> ReadState {
    var book = ReadStateBook(try log.reader(), key: log.identity.idempotencyKey, nowMilliseconds: now.wall)
    return try book.answer(QueryReads(user: user, chats: chats))
  }

  /// The cursor of a device as the log has it.
  func cursor(user: String = "ann", device: String = "phone", _ topic: String) throws -> UInt64? {
    guard let device = try log.device(user: user, device: device) else { return nil }
    let number = try log.topic(named: topic)?.id
    let cursors = try log.cursors(of: device.id)
    let cursor = cursors.first { $0.topic == number } ?? cursors.first { $0.topic == log.identity.awaited(topic) }
    return cursor?.offset
  }

  static func record(
    _ payload: String, id: String, type: EventType = .notification, priority: Priority = .normal, ttl: UInt32? = nil,
    timestamp: Int64 = start
  ) -> [UInt8] {
    EventFields(
      type: type, priority: priority, ttlSeconds: ttl, timestampMilliseconds: timestamp,
      acceptedMicroseconds: start * 1000,
      eventID: id, payload: Array(payload.utf8)
    ).record()
  }

  static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
