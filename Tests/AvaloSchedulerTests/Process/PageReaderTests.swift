import AvaloCore
import AvaloMetrics
import AvaloStore
import AvaloSystem
import AvaloWire
import Synchronization
import Testing

@testable import AvaloScheduler

/// Pages are read beside the engine, and never flood a link.
@Suite(.timeLimit(.minutes(1))) struct PageReaderTests {
  private let log = MemoryEventLog(nowMilliseconds: CoreBench.start)
  private let clock = ManualClock(wallMilliseconds: CoreBench.start)
  private let sent = Sent()

  /// What came out, by link.
  private final class Sent: Sendable {
    private let frames = Mutex<[(link: LinkID, frames: [UInt8])]>([])
    func add(_ pages: [(link: LinkID, frames: [UInt8])]) { frames.withLock { $0 += pages } }
    func bytes(_ link: LinkID) -> Int {
      frames.withLock { $0 }.filter { $0.link == link }.reduce(0) { $0 + $1.frames.count }
    }
    func told(_ link: LinkID) throws -> [Told] {
      try frames.withLock { $0 }.filter { $0.link == link }.flatMap { try Told.read($0.frames) }
    }
  }

  private func start() throws -> PageReader {
    try log.begin()
    let topic = try log.createTopic(named: "user:ann")
    for offset in 1...20 as ClosedRange<UInt64> {
      let record = CoreBench.record(#"{"a":"\#(String(repeating: "x", count: 1000))"}"#, id: "\(offset)")
      try log.append(topic: topic, offset: offset, expires: CoreBench.start + 1000, record: record, key: nil)
    }
    try log.commit()
    let reader = PageReader(
      SchedulerSettings(), metrics: SchedulerMetrics(MetricsRegistry()), wall: clock.wall, log: CoreBench.quiet)
    try reader.start(HandedOver(try log.reader())) { [sent] in sent.add($0) }
    return reader
  }

  private func request(
    _ link: UInt32, _ gauge: LinkGauge, _ correlation: UInt32, after: UInt64 = 0, epoch: Epoch? = nil
  ) -> PageReader.Request {
    PageReader.Request(
      link: LinkID(rawValue: link), gauge: gauge, correlation: correlation,
      read: Read(
        topic: Topic("user:ann")!, epoch: epoch ?? log.identity.epoch(of: "user:ann"), after: after, upTo: 20,
        bytesMax: 1 << 20))
  }

  private func eventually(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(1)) }
  }

  @Test func answersInOrderAndCountsWhatItHandsOut() async throws {
    let reader = try start()
    defer { reader.stop() }
    let gauge = LinkGauge()
    let link = LinkID(rawValue: 1)
    #expect(reader.post(request(1, gauge, 1)))
    #expect(reader.post(request(1, gauge, 2, after: 18)))
    #expect(reader.post(request(1, gauge, 3, epoch: Epoch(generation: 1, nonce: 1))))
    try await eventually { try sent.told(link).count == 3 }
    #expect(
      try sent.told(link) == [
        .page(1, through: 20, Array(1...20)), .page(2, through: 20, [19, 20]), .failed(3, .failedPrecondition),
      ])
    #expect(gauge.backlogBytes == sent.bytes(link))
  }

  @Test func aNearlyFullLinkGetsNoneUntilItHasDrained() async throws {
    let reader = try start()
    defer { reader.stop() }
    let full = LinkGauge()
    let free = LinkGauge()
    full.waits(SchedulerLimits.linkBacklogBytesMax / 4 * SchedulerLimits.pagesBacklogQuarters + 1)
    for correlation in 1...3 as ClosedRange<UInt32> { #expect(reader.post(request(1, full, correlation))) }
    #expect(reader.post(request(2, free, 9)))
    try await eventually { try sent.told(LinkID(rawValue: 2)).count == 1 }
    #expect(try sent.told(LinkID(rawValue: 1)).isEmpty)
    full.waits(0)
    try await eventually { try sent.told(LinkID(rawValue: 1)).count == 3 }
    #expect(
      try sent.told(LinkID(rawValue: 1)) == (1...3).map { .page($0, through: 20, Array(1...20)) })
  }

  @Test func whatIsForALinkThatEndedIsForgotten() async throws {
    let reader = try start()
    defer { reader.stop() }
    let gone = LinkGauge()
    gone.waits(1 << 30)
    #expect(reader.post(request(1, gone, 1)))
    gone.end()
    let other = LinkGauge()
    #expect(reader.post(request(2, other, 2)))
    try await eventually { try sent.told(LinkID(rawValue: 2)).count == 1 }
    gone.waits(0)
    #expect(reader.post(request(2, other, 3)))
    try await eventually { try sent.told(LinkID(rawValue: 2)).count == 2 }
    #expect(try sent.told(LinkID(rawValue: 1)).isEmpty)
  }
}
