import AvaloCore
import AvaloStore
import AvaloTesting
import AvaloWire
import Foundation
import Testing

@testable import AvaloScheduler

/// The core and its store beside gateways by the book, through crashes of the scheduler and of gateways, lost links, full
/// links, failed commits (that happened, or not) and other boots: delivery.md, rules 1 to 7. A violation prints its seed.
@Suite struct DeliveryModelTests {
  /// `AVALO_MODEL_SEEDS=1000` runs more, `AVALO_MODEL_SEED=7` only that one.
  static let seeds: ClosedRange<UInt64> = {
    let environment = ProcessInfo.processInfo.environment
    if let one = environment["AVALO_MODEL_SEED"].flatMap(UInt64.init) { return one...one }
    return 1...(environment["AVALO_MODEL_SEEDS"].flatMap(UInt64.init) ?? 120)
  }()

  @Test func keepsEveryPromiseThroughEveryAccident() throws {
    for seed in DeliveryModelTests.seeds {
      if try run(seed) { return }
    }
  }

  /// The model would not notice a rule that nothing hangs on, nor a check that finds nothing.
  @Test(arguments: ModelRule.allCases) func findsWhatARuleCloses(rule: ModelRule) throws {
    let seeds: ClosedRange<UInt64> = 1...60
    let found = try seeds.first { try run($0, without: rule) }
    #expect(found != nil, "\(rule) off, and no promise is broken")
  }

  /// Whether a promise was broken.
  private func run(_ seed: UInt64, without rule: ModelRule? = nil) throws -> Bool {
    let world = try ModelWorld(seed: seed, without: rule)
    for _ in 0..<300 where !world.book.isBroken { try world.step() }
    if !world.book.isBroken { try world.settle() }
    return world.book.isBroken
  }
}

/// Two gateways, three devices, one scheduler, and bad luck.
private final class ModelWorld {
  let book: ModelBook
  private let bench: CoreBench
  private var random: TestRandom
  private var gateways: [ModelGateway] = []
  private let clients: [ModelClient]
  private var lastIncarnation: UInt64 = 0
  private var lastSession: UInt64 = 0
  private var lastEvent = 0
  private let topics = ["user:ann", "user:bob", "chat:c"]
  private var boot = 0
  private let box = TraceBox()

  init(seed: UInt64, without rule: ModelRule?) throws {
    random = TestRandom(seed: seed)
    let bench = try CoreBench(.sqlite)
    self.bench = bench
    clients = [
      ModelClient(user: "ann", device: "phone", topics: ["user:ann", "chat:c"]),
      ModelClient(user: "ann", device: "desk", topics: ["user:ann"]),
      ModelClient(user: "bob", device: "phone", topics: ["user:bob", "chat:c"]),
    ]
    book = ModelBook(
      seed: seed, without: rule, now: { bench.now.wall },
      trace: { [box] in box.lines.suffix(60).joined(separator: "\n") })
    for _ in 0..<2 { gateways.append(gateway()) }
  }

  private final class TraceBox { var lines: [String] = [] }
  private func note(_ line: String) { box.lines.append(line) }

  private func gateway() -> ModelGateway {
    lastIncarnation += 1
    return ModelGateway(incarnation: lastIncarnation, bench: bench, book: book)
  }

  // MARK: Steps

  func step() throws {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<25: publish()
    case 25..<30: retry()
    case 30..<55: try turn()
    case 55..<70: hear()
    case 70..<78: try read()
    case 78..<84: acknowledge()
    case 84..<87: connect()
    case 87..<89: disconnect()
    case 89: try cutLink()
    case 90..<93: try linkUp()
    case 93: try crashGateway()
    case 94: try crashScheduler()
    case 95: failCommits()
    case 96: fillLink()
    case 97: bench.advance(Int64.random(in: 1...2000, using: &random))
    default: housekeep()
    }
  }

  private func publish() {
    lastEvent += 1
    let event = ModelGateway.Publishing(
      id: lastEvent, topic: topics.randomElement(using: &random)!,
      ttl: Int.random(in: 0..<10, using: &random) == 0 ? 1 : 100_000, isSent: false)
    note("publish \(event.id) to \(event.topic)")
    gateways.randomElement(using: &random)!.publish(event)
  }

  private func retry() {
    guard !book.retry.isEmpty else { return }
    let event = book.retry.remove(at: Int.random(in: 0..<book.retry.count, using: &random))
    note("retry \(event.id)")
    gateways.randomElement(using: &random)!.publish(event)
  }

  /// The scheduler takes some of what waits at each link, in any mix that keeps each link's order.
  private func turn(everything: Bool = false) throws {
    var queues = gateways.map { gateway -> [Command] in
      let count = everything ? gateway.toScheduler.count : Int.random(in: 0...gateway.toScheduler.count, using: &random)
      defer { gateway.toScheduler.removeFirst(count) }
      return Array(gateway.toScheduler.prefix(count))
    }
    var commands: [Command] = []
    while let queue = queues.indices.filter({ !queues[$0].isEmpty }).randomElement(using: &random) {
      commands.append(queues[queue].removeFirst())
    }
    try turn(of: commands)
  }

  private func turn(of commands: [Command]) throws {
    note("turn of \(commands.count)")
    for (link, told) in try bench.turn(commands) {
      gateways.first { $0.link == link }?.fromScheduler += told
    }
  }

  private func hear(everything: Bool = false) {
    for gateway in gateways {
      let waiting = gateway.fromScheduler.count
      let count = everything ? waiting : Int.random(in: 0...waiting, using: &random)
      let heard = Array(gateway.fromScheduler.prefix(count))
      gateway.fromScheduler.removeFirst(count)
      for told in heard {
        note("gateway \(gateway.incarnation) hears \(told)")
        gateway.hear(told)
      }
      gateway.askForPages()
    }
  }

  private func read() throws {
    for gateway in gateways where !gateway.reads.isEmpty {
      let reading = gateway.reads.remove(at: Int.random(in: 0..<gateway.reads.count, using: &random))
      let outcome = try bench.log.reader().read(
        ReadRequest(
          topic: reading.topic, epoch: reading.after.epoch, after: reading.after.offset, upTo: reading.upTo,
          bytesMax: Int.random(in: 1...400, using: &random), nowMilliseconds: bench.now.wall))
      if case .page(let page) = outcome {
        note("gateway \(gateway.incarnation) reads \(reading.topic) after \(reading.after) through \(page.through)")
        gateway.read(reading, page)
      } else {
        reading.session.reading.remove(reading.topic)
      }
    }
  }

  private func acknowledge() {
    for gateway in gateways {
      guard let session = gateway.sessions.values.sorted(by: { $0.number < $1.number }).randomElement(using: &random)
      else { continue }
      gateway.acknowledge(session, session.client.topics.randomElement(using: &random)!)
    }
  }

  private func connect(_ chosen: ModelClient? = nil) {
    let away = clients.filter { client in
      !gateways.contains { $0.sessions.values.contains { $0.client === client } }
    }
    guard let client = chosen ?? away.randomElement(using: &random) else { return }
    lastSession += 1
    // It may know where it was, or start from what the scheduler remembers.
    var presented: [String: Position] = [:]
    if Bool.random(using: &random) {
      for (place, offsets) in client.onConnection {
        presented[place.topic] = Position(epoch: place.epoch, offset: offsets.last!)
      }
    }
    note("\(client.user)'s \(client.device) connects as \(lastSession) with \(presented)")
    let session = ModelSession(number: lastSession, client: client, presented: presented)
    gateways.randomElement(using: &random)!.open(session)
  }

  private func disconnect() {
    let gateway = gateways.randomElement(using: &random)!
    guard let session = gateway.sessions.values.sorted(by: { $0.number < $1.number }).randomElement(using: &random)
    else { return }
    note("session \(session.number) ends")
    gateway.close(session)
  }

  // MARK: Accidents

  private func cutLink() throws {
    let gateway = gateways.randomElement(using: &random)!
    guard let link = gateway.link else { return }
    note("link \(link.rawValue) is lost")
    gateway.linkDown()
    // The scheduler hears of it, or first of the new link.
    if Bool.random(using: &random) { try turn(of: [.linkClosed(link)]) }
  }

  private func linkUp(everything: Bool = false) throws {
    for gateway in gateways where gateway.link == nil && (everything || Bool.random(using: &random)) {
      let (id, opened) = bench.newLink(incarnation: gateway.incarnation)
      note("gateway \(gateway.incarnation) links as \(id.rawValue)")
      try turn(of: [opened])
      gateway.linkUp(id)
    }
  }

  private func crashGateway() throws {
    let index = Int.random(in: gateways.indices, using: &random)
    note("gateway \(gateways[index].incarnation) dies")
    if let link = gateways[index].link { try turn(of: [.linkClosed(link)]) }
    // Its publishers know nothing and try again.
    book.retry += gateways[index].publishing.map(\.event)
    gateways[index] = gateway()
  }

  private func crashScheduler() throws {
    if Bool.random(using: &random) { boot += 1 }
    note("the scheduler dies, boot \(boot)")
    try bench.crash(boot: "boot \(boot)")
    for gateway in gateways { gateway.linkDown() }
  }

  private func failCommits() {
    bench.log.keepsFailedCommits = Bool.random(using: &random)
    let step = [FaultyLog.Step.commit, .append, .key, .topic, .cursors, .begin].randomElement(using: &random)!
    note("the next \(step) fails, kept: \(bench.log.keepsFailedCommits)")
    bench.log.failOnce(at: step, after: Int.random(in: 0...5, using: &random), .unavailable("the model says so"))
  }

  private func fillLink() {
    guard let link = gateways.randomElement(using: &random)!.link else { return }
    note("link \(link.rawValue) fills or drains")
    bench.wait(in: link, Bool.random(using: &random) ? bench.settings.linkBacklogBytesMax + 1 : 0)
  }

  private func housekeep() {
    bench.advance(1000)
    for _ in 0..<20 where bench.core.housekeep(isIdle: true, at: bench.now) {}
  }

  // MARK: The end

  /// No more accidents: within bounds everybody has everything.
  func settle() throws {
    note("settling")
    bench.log.recover()
    bench.advance(SchedulerLimits.retryMilliseconds)
    for gateway in gateways { if let link = gateway.link { bench.wait(in: link, 0) } }
    for client in clients { connect(client, ifAway: true) }
    for _ in 0..<200 where !book.isBroken {
      try linkUp(everything: true)
      while !book.retry.isEmpty { retry() }
      try turn(everything: true)
      hear(everything: true)
      while gateways.contains(where: { !$0.reads.isEmpty }) { try read() }
      if gateways.allSatisfy(\.isSettled), book.retry.isEmpty {
        bench.advance(SchedulerLimits.flushMilliseconds)
        bench.housekeep()
        return try book.close(clients, bench: bench)
      }
      bench.advance(100)
    }
    book.violation("it does not settle")
  }

  private func connect(_ client: ModelClient, ifAway: Bool) {
    guard !gateways.contains(where: { $0.sessions.values.contains { $0.client === client } }) else { return }
    connect(client)
  }
}
