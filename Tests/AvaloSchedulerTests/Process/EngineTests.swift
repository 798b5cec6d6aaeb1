import AvaloCore
import AvaloMetrics
import AvaloStore
import AvaloSystem
import AvaloWire
import Synchronization
import Testing

@testable import AvaloScheduler

@Suite(.timeLimit(.minutes(1))) struct EngineTests {
  /// Frames that came out, all links together.
  private final class Sent: Sendable {
    private let frames = Mutex<[UInt8]>([])
    func add(_ output: TurnOutput) { frames.withLock { for send in output.sends { $0 += send.frames } } }
    func told() throws -> [Told] { try Told.read(frames.withLock { $0 }) }
  }

  private let sent = Sent()

  private func start(_ settings: SchedulerSettings = SchedulerSettings()) throws -> Engine {
    let metrics = SchedulerMetrics(MetricsRegistry())
    let engine = Engine(settings, metrics: metrics, wall: .system, monotonic: .system, log: CoreBench.quiet)
    let core = try SchedulerCore(
      log: MemoryEventLog(nowMilliseconds: CoreBench.start), settings: settings, metrics: metrics,
      logger: CoreBench.quiet, at: engine.now)
    try engine.start(HandedOver(core)) { [sent] in sent.add($0) }
    return engine
  }

  private func publish(_ link: LinkID, _ number: Int) -> Command {
    .publish(
      link, correlation: UInt32(number),
      Publish(
        owner: "shop", topic: Topic("user:ann")!, contentHash: 1, record: CoreBench.record("{}", id: "\(number)")))
  }

  @Test func answersAllThatWasPostedBeforeItStops() throws {
    let engine = try start()
    let link = LinkID(rawValue: 1)
    _ = engine.post(.linkOpened(link, instance: "gateway.0", incarnation: 1, gauge: LinkGauge()))
    for number in 1...5000 { #expect(engine.post(publish(link, number))) }
    engine.stop()
    #expect(try sent.told().map(\.summary) == ["access live"] + (1...5000).map { "published \($0)" })
    // Nobody waits for an answer that never comes.
    #expect(!engine.post(publish(link, 5001)))
    #expect(!engine.post(.ask(.log, reply: { _ in })))
  }

  @Test func knowsTheGenerationItsLogHasNow() async throws {
    let engine = try start()
    let link = LinkID(rawValue: 1)
    let first = engine.generation
    #expect(first == UInt32(CoreBench.start / 1000))
    _ = engine.post(.linkOpened(link, instance: "gateway.0", incarnation: 1, gauge: LinkGauge()))
    _ = engine.post(publish(link, 1))
    while try sent.told().isEmpty { try await Task.sleep(for: .milliseconds(1)) }
    guard case .published(_, let published)? = try sent.told().first else { return }
    let ahead = Position(epoch: published.position.epoch, offset: 9)
    _ = engine.post(
      .watch(link, correlation: 2, Watch(entries: [.init(handle: 1, topic: Topic("user:ann")!, position: ahead)])))
    while try sent.told().count < 2 { try await Task.sleep(for: .milliseconds(1)) }
    #expect(engine.generation > first)
    engine.stop()
  }

  @Test func isAliveAsLongAsItTurns() async throws {
    let engine = try start()
    for _ in 0..<3 {
      while !engine.hasTurned() { try await Task.sleep(for: .milliseconds(1)) }
    }
    engine.stop()
    _ = engine.hasTurned()
    #expect(!engine.hasTurned())
  }
}
