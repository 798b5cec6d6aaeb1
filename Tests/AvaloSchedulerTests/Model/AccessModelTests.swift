import AvaloCore
import AvaloStore
import AvaloTesting
import AvaloWire
import Testing

@testable import AvaloScheduler

/// Members come and go and tokens are revoked, beside gateways by the book, through crashes of the scheduler, lost and slow
/// links and failed commits (that happened, or not): delivery.md, "Access is a log too". A violation prints its seed.
///
/// What must hold: when a backend is told that a member is removed, or a token revoked, no gateway that is linked has a
/// session left that had nothing else; and an event that is published from then on is never written to one, neither live
/// nor by a replay.
@Suite struct AccessModelTests {
  @Test func nothingIsShownAfterItWasSaidToBeHidden() throws {
    var (told, shown) = (0, 0)
    for seed in DeliveryModelTests.seeds {
      let world = try AccessWorld(seed: seed)
      for _ in 0..<500 where world.book.violation == nil { try world.step() }
      told += world.book.answered
      shown += world.book.shown
      guard let violation = world.book.violation else { continue }
      Issue.record("seed \(seed): \(violation)\n\(world.book.trace.suffix(60).joined(separator: "\n"))")
      return
    }
    // Enough was answered with success, or nothing was tested.
    #expect(
      told > 400 && shown > 1000 || DeliveryModelTests.seeds.count < 100, "\(told) answers, \(shown) events shown")
  }
}

/// What backends were told, and what may therefore be shown to whom.
private final class AccessBook {
  /// Of a chat's event: who must never see it, and of whom only tokens issued from then on may.
  struct Rule {
    var hiddenFrom: Set<String>
    var issuedFrom: [String: Int64]
  }
  private(set) var rules: [Int: Rule] = [:]
  private(set) var violation: String?
  private(set) var trace: [String] = []
  private(set) var answered = 0
  private(set) var shown = 0
  /// Users whose removal was answered, and who were not added since.
  private var out: Set<String> = ["ann", "bob", "zoe"]
  private var issuedFrom: [String: Int64] = [:]
  /// Events whose publish was not answered.
  private var underWay: Set<Int> = []
  /// The number of the last call that added a user.
  private var lastAdd: [String: Int] = [:]

  func note(_ line: String) { trace.append(line) }

  func adds(_ user: String, call: Int) {
    out.remove(user)
    lastAdd[user] = call
    // What is not known to be in the log may come behind it.
    for event in underWay { rules[event]?.hiddenFrom.remove(user) }
  }
  func removed(_ user: String, call: Int) {
    answered += 1
    guard call > lastAdd[user] ?? 0 else { return }
    out.insert(user)
    for session in openSessions() where session.user == user {
      fail("\(user) is out, and session \(session.number) open")
    }
  }
  func revoked(_ user: String, before: Int64) {
    answered += 1
    issuedFrom[user] = max(issuedFrom[user] ?? 0, before)
    for session in openSessions() where session.user == user && session.issued < before {
      fail("a token of \(user) is revoked, and session \(session.number) open")
    }
  }
  /// Those that are registered, at gateways that are linked.
  var openSessions: () -> [AccessSession] = { [] }
  func publishes(_ event: Int) {
    rules[event] = Rule(hiddenFrom: out, issuedFrom: issuedFrom)
    underWay.insert(event)
  }
  func isPublished(_ event: Int) { underWay.remove(event) }

  func shows(_ event: Int, to session: AccessSession, _ how: String) {
    guard let rule = rules[event] else { return fail("event \(event) was never published") }
    shown += 1
    if rule.hiddenFrom.contains(session.user) { fail("\(how): event \(event) to \(session.user), who was out") }
    if session.issued < rule.issuedFrom[session.user] ?? 0 {
      fail("\(how): event \(event) to a revoked token of \(session.user)")
    }
  }

  func fail(_ what: String) { violation = violation ?? what }
}

/// A session that has the chat by membership alone.
private final class AccessSession {
  let number: UInt64
  let user: String
  let issued: Int64
  /// Everything up to it was shown; `nil` until the scheduler has answered on this link.
  var cursor: UInt64?

  init(number: UInt64, user: String, issued: Int64) {
    self.number = number
    self.user = user
    self.issued = issued
  }
}

/// A gateway by the book, with one topic. Mail waits in both directions until the test moves it.
private final class AccessGateway {
  let incarnation: UInt64
  var link: LinkID?
  var toScheduler: [Command] = []
  var fromScheduler: [Told] = []
  var sessions: [AccessSession] = []
  private var table = RevocationTable()
  private var coming: RevocationTable?
  private var attaching: [UInt32: AccessSession] = [:]
  /// Calls of backends that came to this gateway.
  private var calls: [UInt32: Call] = [:]
  private var publishing: [UInt32: Int] = [:]
  private var position: Position?
  private let bench: CoreBench
  private let book: AccessBook

  init(incarnation: UInt64, bench: CoreBench, book: AccessBook) {
    self.incarnation = incarnation
    self.bench = bench
    self.book = book
  }

  private var isFollowing: Bool { link != nil && coming == nil }

  func linkUp(_ id: LinkID) {
    link = id
    coming = RevocationTable()
  }

  func linkDown() {
    link = nil
    toScheduler.removeAll()
    fromScheduler.removeAll()
    attaching.removeAll()
    calls.removeAll()  // answered "unknown"
    position = nil
    for session in sessions { session.cursor = nil }
  }

  func open(_ session: AccessSession) {
    guard !table.covers(TokenName(user: session.user, issuedAtMilliseconds: session.issued)) else { return }
    sessions.append(session)
    if isFollowing { attach(session) }
  }

  struct Call {
    var number: Int
    /// Who is no member when it is answered.
    var removed: [String] = []
    var revoked: (user: String, before: Int64)?
  }

  /// - `users`: whom the change names. - `others`: all there are besides.
  func ask(_ change: ChangeMembers.Change, _ users: [String], others: [String], call: Int) {
    guard isFollowing, let link else { return }
    let correlation = bench.correlation()
    if change != .remove { for user in users { book.adds(user, call: call) } }
    calls[correlation] = Call(number: call, removed: change == .remove ? users : change == .set ? others : [])
    toScheduler.append(
      .access(link, correlation: correlation, .changeMembers(ChangeMembers(chat: "c", change: change, users: users))))
  }

  func revoke(_ user: String, before: Int64, call: Int) {
    guard isFollowing, let link else { return }
    let correlation = bench.correlation()
    calls[correlation] = Call(number: call, revoked: (user, before))
    toScheduler.append(
      .access(
        link, correlation: correlation,
        .revoke(Revoke(Revocation(.user(user), issuedBeforeMilliseconds: before, untilMilliseconds: .max)))))
  }

  func publish(_ event: Int) {
    guard isFollowing, let link else { return }
    book.publishes(event)
    let correlation = bench.correlation()
    publishing[correlation] = event
    toScheduler.append(bench.publish(link, "chat:c", "{\"n\":\(event)}", id: "\(event)", as: correlation))
  }

  private func attach(_ session: AccessSession) {
    guard let link else { return }
    let correlation = bench.correlation()
    attaching[correlation] = session
    toScheduler.append(
      bench.attach(
        link, session.number, user: session.user, device: "d\(session.number % 2)", topics: [], ifMember: ["chat:c"],
        issued: session.issued, as: correlation))
  }

  // MARK: Hearing

  func hear(_ told: Told) {
    switch told {
    case .changed(let position, let changes): step(position, changes)
    case .accessLive: begin()
    case .answered(let correlation, let answers): attached(correlation, answers.first)
    case .failed(let correlation, _): failed(correlation)
    case .membersChanged(let correlation, _): done(correlation)
    case .revoked(let correlation): done(correlation)
    case .published(let correlation, _): if let event = publishing[correlation] { book.isPublished(event) }
    case .watched(_, let heads): position = heads.first?.position
    case .lagged(let heads): position = heads.first?.position
    case .delivered(let payload, let targets): deliver(payload, targets[0].offset)
    default: break
    }
  }

  private func begin() {
    table = coming ?? table
    coming = nil
    sessions.removeAll { isRevoked($0) }
    for session in sessions { attach(session) }
    if let link { toScheduler.append(bench.watch(link, [(1, "chat:c")])) }
  }

  private func step(_ at: UInt64, _ changes: [AccessChanged.Change]) {
    for change in changes {
      switch change {
      case .revoked(let revocation): if coming == nil { table.add(revocation) } else { coming!.add(revocation) }
      case .removed(_, let users): end { users.contains($0.user) }
      case .released: break
      }
    }
    guard coming == nil, let link else { return }
    end { isRevoked($0) }
    toScheduler.append(.accessConfirmed(link, AccessConfirmed(position: at)))
  }

  private func isRevoked(_ session: AccessSession) -> Bool {
    table.covers(TokenName(user: session.user, issuedAtMilliseconds: session.issued))
  }

  private func end(_ which: (AccessSession) -> Bool) {
    for session in sessions where which(session) {
      if let link { toScheduler.append(.detach(link, Detach(sessions: [session.number]))) }
    }
    sessions.removeAll(where: which)
  }

  private func attached(_ correlation: UInt32, _ answer: Attached.Answer?) {
    guard let session = attaching.removeValue(forKey: correlation), sessions.contains(where: { $0 === session }) else {
      return
    }
    guard case .granted(let position, let since)? = answer else { return sessions.removeAll { $0 === session } }
    session.cursor = max(position.offset, max(1, since) - 1)
  }

  private func failed(_ correlation: UInt32) {
    if let session = attaching.removeValue(forKey: correlation) { sessions.removeAll { $0 === session } }
    calls[correlation] = nil
  }

  private func done(_ correlation: UInt32) {
    guard let call = calls.removeValue(forKey: correlation) else { return }
    book.note("answered: \(call)")
    if let (user, before) = call.revoked { book.revoked(user, before: before) }
    for user in call.removed { book.removed(user, call: call.number) }
  }

  // MARK: Showing

  private func deliver(_ payload: String, _ offset: UInt64) {
    guard let known = position, offset > known.offset else { return }
    position!.offset = offset
    guard offset == known.offset + 1, let event = AccessGateway.number(payload) else { return }
    for session in sessions where session.cursor == known.offset {
      book.shows(event, to: session, "live")
      session.cursor = offset
    }
  }

  /// Whoever is behind reads on, as the log is now.
  func read() throws {
    guard let position else { return }
    for session in sessions {
      guard let cursor = session.cursor, cursor < position.offset else { continue }
      for (offset, payload) in try bench.events("chat:c").sorted(by: { $0.key < $1.key })
      where offset > cursor && offset <= position.offset {
        if let event = AccessGateway.number(payload) { book.shows(event, to: session, "replay") }
      }
      session.cursor = position.offset
    }
  }

  private static func number(_ payload: String) -> Int? { Int(payload.dropFirst(5).dropLast()) }
}

/// Two gateways, three users, one chat, one scheduler, and bad luck.
private final class AccessWorld {
  let book = AccessBook()
  private let bench: CoreBench
  private var random: TestRandom
  private var gateways: [AccessGateway] = []
  private var lastIncarnation: UInt64 = 0
  private var lastSession: UInt64 = 0
  private var lastEvent = 0
  private var lastCall = 0
  private var lastIssued: Int64 = 0
  private let users = ["ann", "bob", "zoe"]

  init(seed: UInt64) throws {
    random = TestRandom(seed: seed)
    bench = try CoreBench(.sqlite)
    for _ in 0..<2 {
      lastIncarnation += 1
      gateways.append(AccessGateway(incarnation: lastIncarnation, bench: bench, book: book))
    }
    book.openSessions = { [unowned self] in
      gateways.flatMap { $0.link == nil ? [] : $0.sessions.filter { $0.cursor != nil } }
    }
  }

  private var gateway: AccessGateway { gateways.randomElement(using: &random)! }
  private var user: String { users.randomElement(using: &random)! }

  func step() throws {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<7: change(.add)
    case 7..<12: change(.remove)
    case 12..<15: change(.set)
    case 15..<17: revoke()
    case 17..<28: publish()
    case 28..<36: open()
    case 36..<60: try turn()
    case 60..<84: hear()
    case 84..<88: try gateway.read()
    case 88..<95: try linkUp()
    case 95: try dropLink(gateway)
    case 96: try crash()
    case 97: try failCommit()
    default:
      bench.advance(Int64.random(in: 1...2000, using: &random))
      if case .healthy = bench.core.health { bench.housekeep() }
    }
  }

  private func change(_ change: ChangeMembers.Change) {
    lastCall += 1
    var named = [user]
    if change == .set, Bool.random(using: &random) { named.append(users.first { $0 != named[0] }!) }
    book.note("\(change) \(named)")
    gateway.ask(change, named, others: users.filter { !named.contains($0) }, call: lastCall)
  }

  private func revoke() {
    lastCall += 1
    lastIssued += 1
    let user = user
    book.note("revoke \(user) before \(lastIssued)")
    gateway.revoke(user, before: lastIssued, call: lastCall)
  }

  private func publish() {
    lastEvent += 1
    book.note("publish \(lastEvent)")
    gateway.publish(lastEvent)
  }

  private func open() {
    lastSession += 1
    // Some with an old token.
    let issued = max(0, lastIssued - Int64.random(in: 0...2, using: &random))
    let session = AccessSession(number: lastSession, user: user, issued: issued)
    book.note("open \(session.number) of \(session.user), issued \(issued)")
    gateway.open(session)
  }

  /// The scheduler takes some of what waits at each link, in any mix that keeps each link's order.
  private func turn(everything: Bool = false) throws {
    var queues = gateways.map { gateway -> [Command] in
      let all = gateway.toScheduler.count
      let count = everything ? all : Int.random(in: 0...all, using: &random)
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
    book.note("turn of \(commands.count)")
    let cutBefore = bench.cuts.count
    for (link, told) in try bench.turn(commands) {
      gateways.first { $0.link == link }?.fromScheduler += told
    }
    // What a cut link was sent before may still arrive, or not.
    for cut in bench.cuts[cutBefore...] {
      guard let gateway = gateways.first(where: { $0.link == cut }) else { continue }
      book.note("gateway \(gateway.incarnation) was cut")
      if Bool.random(using: &random) { while !gateway.fromScheduler.isEmpty { hear(gateway) } }
      gateway.linkDown()
    }
  }

  private func hear() {
    let gateway = gateway
    for _ in 0..<Int.random(in: 1...6, using: &random) where !gateway.fromScheduler.isEmpty { hear(gateway) }
  }

  private func hear(_ gateway: AccessGateway) { gateway.hear(gateway.fromScheduler.removeFirst()) }

  // MARK: Accidents

  private func linkUp() throws {
    guard let gateway = gateways.filter({ $0.link == nil }).randomElement(using: &random) else { return }
    let (link, command) = bench.newLink(incarnation: gateway.incarnation)
    gateway.linkUp(link)
    book.note("gateway \(gateway.incarnation) links")
    try turn(of: [command])
  }

  private func dropLink(_ gateway: AccessGateway) throws {
    guard let link = gateway.link else { return }
    book.note("gateway \(gateway.incarnation) loses its link")
    gateway.linkDown()
    try turn(of: [.linkClosed(link)])
  }

  private func crash() throws {
    book.note("the scheduler crashes")
    try bench.crash()
    for gateway in gateways { gateway.linkDown() }
  }

  /// Mostly of a change of members, and mostly not for long.
  private func failCommit() throws {
    bench.log.keepsFailedCommits = Bool.random(using: &random)
    book.note("the next commit fails\(bench.log.keepsFailedCommits ? ", but happens" : "")")
    bench.log.failOnce(at: .commit)
    change(.set)
    try turn(everything: true)
    guard Bool.random(using: &random) else { return }
    bench.advance(SchedulerLimits.retryMilliseconds)
    try turn(of: [])
  }
}
