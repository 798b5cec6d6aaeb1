import AvaloCore
import AvaloMetrics
import AvaloStore
import AvaloSystem
import AvaloWire
import Synchronization
import Testing

@testable import AvaloScheduler

/// What is unread is counted beside the engine, in turn for each user, and in time or not at all.
@Suite(.timeLimit(.minutes(1))) struct ReadStateDeskTests {
  private let log = MemoryEventLog(nowMilliseconds: CoreBench.start)
  private let clock = ManualClock(wallMilliseconds: CoreBench.start)
  private let sent = Sent()
  private let gauge = LinkGauge()
  private let link = LinkID(rawValue: 1)

  private final class Sent: Sendable {
    private let frames = Mutex<[(link: LinkID, frames: [UInt8])]>([])
    func add(_ answers: [(link: LinkID, frames: [UInt8])]) { frames.withLock { $0 += answers } }
    func told() throws -> [Told] { try frames.withLock { $0 }.flatMap { try Told.read($0.frames) } }
    var bytes: Int { frames.withLock { $0 }.reduce(0) { $0 + $1.frames.count } }
  }

  private func desk() -> ReadStateDesk {
    ReadStateDesk(
      metrics: SchedulerMetrics(MetricsRegistry()), wall: clock.wall, monotonic: clock.monotonic,
      log: CoreBench.quiet)
  }

  /// Not before all that is asked has been: then the order is the desk's.
  private func start(_ desk: ReadStateDesk) throws {
    try desk.start(HandedOver(try log.reader()), key: log.identity.idempotencyKey) { [sent] in sent.add($0) }
  }

  private func ask(_ desk: ReadStateDesk, _ user: String, as correlation: UInt32, on gauge: LinkGauge? = nil) -> Bool {
    desk.ask(
      QueryReads(user: user, chats: ["c"]), link: link, gauge: gauge ?? self.gauge, correlation: correlation)
  }

  private func told(_ count: Int) async throws -> [Told] {
    while try sent.told().count < count { try await Task.sleep(for: .milliseconds(1)) }
    return try sent.told()
  }

  private func state(_ correlation: UInt32) -> Told {
    .readState(correlation, ReadState(unread: [.init(chat: "c", count: 0)], receipts: []))
  }

  @Test func answersUsersInTurnAndCountsWhatItHandsOut() async throws {
    let desk = desk()
    defer { desk.stop() }
    for correlation in 1...3 as ClosedRange<UInt32> { #expect(ask(desk, "ann", as: correlation)) }
    #expect(ask(desk, "bob", as: 9))
    try start(desk)
    #expect(try await told(4) == [state(1), state(9), state(2), state(3)])
    #expect(gauge.backlogBytes == sent.bytes)
  }

  @Test func refusesAUserWhoAsksTooMuchAndNobodyElse() async throws {
    let desk = desk()
    defer { desk.stop() }
    let max = UInt32(SchedulerLimits.readStatesOfUserMax)
    for correlation in 1...(max + 1) { #expect(ask(desk, "ann", as: correlation)) }
    #expect(ask(desk, "bob", as: 99))
    try start(desk)
    let all = try await told(Int(max) + 2)
    #expect(all.contains(.failed(max + 1, .resourceExhausted)))
    #expect(all.contains(state(99)) && all.contains(state(max)))
  }

  @Test func refusesWhatHasWaitedTooLong() async throws {
    let desk = desk()
    defer { desk.stop() }
    #expect(ask(desk, "ann", as: 1))
    clock.advance(by: .milliseconds(SchedulerLimits.readStateMilliseconds))
    #expect(ask(desk, "bob", as: 2))
    try start(desk)
    #expect(try await told(2) == [.failed(1, .unavailable), state(2)])
  }

  @Test func whatIsForALinkThatEndedIsForgotten() async throws {
    let desk = desk()
    defer { desk.stop() }
    let gone = LinkGauge()
    #expect(ask(desk, "ann", as: 1, on: gone) && ask(desk, "bob", as: 2))
    gone.end()
    try start(desk)
    #expect(try await told(1) == [state(2)])
  }
}
