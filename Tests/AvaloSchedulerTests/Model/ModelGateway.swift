import AvaloCore
import AvaloStore
import AvaloWire

@testable import AvaloScheduler

/// What a gateway by the book can be made to leave out, to see that its promises hang on it.
enum ModelRule: CaseIterable {
  /// Rule 1: a head above the position puts the live sessions behind, after a lost link or one that was full.
  case aHeadAboveThePositionPutsBehind
  /// Rule 3: what is tried again has the id of the first time.
  case retriesUnderTheSameID
  /// Rule 7: what is acknowledged was written to that connection.
  case acknowledgesWhatWasWritten
}

/// A gateway by the book (delivery.md, rules 1 to 7 and the hand-shake), and nothing more. Mail waits in both directions
/// until the test moves it; a lost link loses all of it.
final class ModelGateway {
  struct Watched {
    var handle: UInt32
    /// Everything up to it was delivered here; `none` before the first head.
    var position = Position.none
    var isWatched = false
  }
  struct Publishing {
    var id: Int
    var topic: String
    var ttl: UInt32
    var isSent: Bool
  }
  struct Reading {
    var session: ModelSession
    var topic: String
    var after: Position
    var upTo: UInt64
  }

  let incarnation: UInt64
  var link: LinkID?
  var toScheduler: [Command] = []
  var fromScheduler: [Told] = []
  var topics: [String: Watched] = [:]
  var sessions: [UInt64: ModelSession] = [:]
  /// In their original order.
  var publishing: [(correlation: UInt32, event: Publishing)] = []
  var reads: [Reading] = []
  private var attaching: [UInt32: ModelSession] = [:]
  private let bench: CoreBench
  private let book: ModelBook

  init(incarnation: UInt64, bench: CoreBench, book: ModelBook) {
    self.incarnation = incarnation
    self.bench = bench
    self.book = book
  }

  // MARK: Link

  func linkUp(_ id: LinkID) {
    link = id
    // This first, in the order it was asked.
    for entry in publishing { send(entry.event, entry.correlation) }
    for session in sessions.values.sorted(by: { $0.number < $1.number }) { attach(session) }
    for name in topics.keys.sorted() { watch(name) }
  }

  func linkDown() {
    link = nil
    toScheduler.removeAll()
    fromScheduler.removeAll()
    reads.removeAll()
    attaching.removeAll()
    for name in topics.keys { topics[name]!.isWatched = false }
    for session in sessions.values {
      session.isAttaching = false
      session.reading.removeAll()
    }
  }

  // MARK: Asking

  func publish(_ event: Publishing) {
    let correlation = bench.correlation()
    publishing.append((correlation, event))
    send(event, correlation)
  }

  private func send(_ event: Publishing, _ correlation: UInt32) {
    guard let link else { return }
    toScheduler.append(
      bench.publish(
        link, event.topic, book.payload(event.id),
        id: book.without == .retriesUnderTheSameID ? "\(correlation)" : "\(event.id)", as: correlation,
        priority: book.priority(event.id),
        ttl: event.ttl))
  }

  func open(_ session: ModelSession) {
    sessions[session.number] = session
    attach(session)
    for name in session.client.topics where topics[name] == nil {
      topics[name] = Watched(handle: UInt32(topics.count + 1))
      watch(name)
    }
  }

  func attach(_ session: ModelSession) {
    guard let link, !session.isAttaching else { return }
    session.isAttaching = true
    let correlation = bench.correlation()
    attaching[correlation] = session
    toScheduler.append(
      bench.attach(
        link, session.number, user: session.client.user, device: session.client.device, topics: session.client.topics,
        as: correlation))
  }

  private func watch(_ name: String) {
    guard let link, let topic = topics[name] else { return }
    toScheduler.append(bench.watch(link, [(topic.handle, name)], at: topic.position))
  }

  func close(_ session: ModelSession) {
    sessions[session.number] = nil
    reads.removeAll { $0.session === session }
    if let link { toScheduler.append(.detach(link, Detach(sessions: [session.number]))) }
  }

  func acknowledge(_ session: ModelSession, _ name: String) {
    guard let link, let topic = topics[name], topic.isWatched, let written = session.cursors[name] else { return }
    let cursor = book.without == .acknowledgesWhatWasWritten ? topic.position : written
    session.client.acknowledged[name] = max(session.client.acknowledged[name] ?? 0, cursor.offset)
    toScheduler.append(
      .acknowledge(
        link, Acknowledge(entries: [.init(session: session.number, handle: topic.handle, position: cursor)])))
  }

  // MARK: Hearing

  func hear(_ told: Told) {
    switch told {
    case .published(let correlation, let published): answered(correlation, published)
    case .failed(let correlation, let code): failed(correlation, code)
    case .attached(let correlation, let positions): attached(correlation, positions)
    case .watched(_, let heads), .lagged(let heads): for head in heads { compare(head) }
    case .delivered(let payload, let targets): for target in targets { deliver(payload, target) }
    case .unwatched, .broadcasted, .page, .markedRead, .readState, .starts, .polled, .latest: break
    // Who may see what is not this model's: everybody here is let in by rule.
    case .accessLive, .changed: break
    case .answered, .membersChanged, .memberList, .memberships, .revoked, .erased, .begun, .partTaken,
      .broadcastStatus, .delayedCancelled, .membershipsOf, .leaseLost, .latestAt,
      .following, .followedErased, .grew:
      book.violation("an answer to what nobody asked: \(told)")
    }
  }

  private func answered(_ correlation: UInt32, _ published: Published) {
    guard let index = publishing.firstIndex(where: { $0.correlation == correlation }) else {
      return book.violation("an answer nobody waits for")
    }
    let event = publishing.remove(at: index).event
    book.accepted(event, published)
  }

  private func failed(_ correlation: UInt32, _ code: StatusCode) {
    if let session = attaching.removeValue(forKey: correlation) {
      session.isAttaching = false
    } else if let index = publishing.firstIndex(where: { $0.correlation == correlation }) {
      // Unknown whether it was kept: the publisher asks again, with the same id.
      if code != .unavailable { book.violation("a publish was refused: \(code)") }
      let event = publishing.remove(at: index).event
      book.retry.append(event)
    } else {
      book.violation("a refusal nobody waits for")
    }
  }

  private func attached(_ correlation: UInt32, _ positions: [Position]) {
    guard let session = attaching.removeValue(forKey: correlation) else { return book.violation("attached, unasked") }
    session.isAttaching = false
    for (name, told) in zip(session.client.topics, positions) where session.cursors[name]?.epoch != told.epoch {
      if session.client.start[name] == nil { session.client.start[name] = told.offset }
      let presented = session.presented.removeValue(forKey: name)
      session.cursors[name] = presented?.epoch == told.epoch ? presented! : told
    }
  }

  /// A head at a commit's end: what lies between it and our position was missed.
  private func compare(_ head: Head) {
    guard let name = topics.first(where: { $0.value.handle == head.handle })?.key else { return }
    let position = topics[name]!.position
    if head.position.epoch == position.epoch, head.position.offset < position.offset {
      book.violation("the head of \(name) went back from \(position) to \(head.position)")
    }
    topics[name]!.position = head.position
    topics[name]!.isWatched = true
    if book.without == .aHeadAboveThePositionPutsBehind {
      for session in sessions.values where session.cursors[name] == position { session.cursors[name] = head.position }
    }
    guard position.epoch != head.position.epoch else { return }
    // gap{epoch}: whoever stood in the old one begins again where its device stopped.
    for session in sessions.values where session.cursors[name] != nil {
      guard session.cursors[name]!.epoch != head.position.epoch else { continue }
      session.cursors[name] = nil
      attach(session)
    }
  }

  private func deliver(_ payload: String, _ target: Deliver.Target) {
    guard let name = topics.first(where: { $0.value.handle == target.handle })?.key, topics[name]!.isWatched else {
      return
    }
    let position = topics[name]!.position
    guard target.offset > position.offset else { return }
    topics[name]!.position.offset = target.offset
    // After a jump nobody is live: all are behind where they were.
    guard target.offset == position.offset + 1 else { return }
    for session in sessions.values where session.cursors[name] == position {
      write(payload, target.offset, name, to: session)
      session.cursors[name]!.offset = target.offset
    }
  }

  private func write(_ payload: String, _ offset: UInt64, _ name: String, to session: ModelSession) {
    book.given(payload, offset, name, session)
  }

  // MARK: Reading

  /// Who is behind asks for a page.
  func askForPages() {
    guard link != nil else { return }
    for session in sessions.values.sorted(by: { $0.number < $1.number }) {
      if session.client.topics.contains(where: { session.cursors[$0] == nil }) { attach(session) }
      for name in session.client.topics where !session.reading.contains(name) {
        guard let topic = topics[name], topic.isWatched, let cursor = session.cursors[name],
          cursor.epoch == topic.position.epoch, cursor.offset < topic.position.offset
        else { continue }
        session.reading.insert(name)
        reads.append(Reading(session: session, topic: name, after: cursor, upTo: topic.position.offset))
      }
    }
  }

  /// A page came, as of whenever it was read.
  func read(_ reading: Reading, _ page: ReadPage) {
    let session = reading.session
    session.reading.remove(reading.topic)
    guard sessions[session.number] === session, session.cursors[reading.topic] == reading.after else { return }
    for row in page.rows where row.offset > reading.after.offset {
      write(book.payload(of: row.record), row.offset, reading.topic, to: session)
    }
    session.cursors[reading.topic]!.offset = max(reading.after.offset, page.through)
  }

  /// Everybody has everything.
  var isSettled: Bool {
    guard link != nil, publishing.isEmpty, toScheduler.isEmpty, fromScheduler.isEmpty, reads.isEmpty else {
      return false
    }
    return sessions.values.allSatisfy { session in
      session.client.topics.allSatisfy { name in
        topics[name]?.isWatched == true && session.cursors[name] == topics[name]?.position
      }
    }
  }
}
