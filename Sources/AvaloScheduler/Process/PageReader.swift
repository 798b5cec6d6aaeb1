import AvaloCore
import AvaloStore
import AvaloSystem
import AvaloWire
import Logging

/// The thread that reads pages for sessions that are behind, beside the engine, on a view of its own.
final class PageReader: Sendable {
  struct Request: Sendable {
    var link: LinkID
    var correlation: UInt32
    var read: Read
  }

  private let queue = CommandQueue<Request>(max: SchedulerLimits.readsMax)
  private let metrics: SchedulerMetrics
  private let wall: WallClock
  private let log: Logger

  init(metrics: SchedulerMetrics, wall: WallClock, log: Logger) {
    self.metrics = metrics
    self.wall = wall
    self.log = log
  }

  /// Starts the thread. `output` is called on it, with the frames for a link.
  func start(
    _ reader: HandedOver<any EventLogReader>,
    output: @escaping @Sendable ([(link: LinkID, frames: [UInt8])]) -> Void
  ) throws(SystemError) {
    try SystemThread.start(name: "log-reader", stackBytes: 4 << 20) { self.run(reader.value, output) }
  }

  /// False when too many wait.
  func post(_ request: Request) -> Bool { queue.post(request, mayRefuse: true) }

  func stop() { queue.close() }

  private func run(
    _ reader: any EventLogReader, _ output: ([(link: LinkID, frames: [UInt8])]) -> Void
  ) {
    while let requests = queue.take(limit: SchedulerLimits.readsPerTurn, waitMilliseconds: 1000) {
      guard !requests.isEmpty else { continue }
      var out: [LinkID: WireWriter] = [:]
      for request in requests {
        do {
          try answer(request, from: reader, into: &out[request.link, default: WireWriter()])
        } catch {
          log.warning(
            "a page of the log cannot be read",
            metadata: ["topic_kind": "\(request.read.topic.kind)", "reason": "\(error)"])
          out[request.link, default: WireWriter()].frame(SchedulerCore.unavailable, correlation: request.correlation)
        }
      }
      output(out.map { (link: $0.key, frames: $0.value.bytes) })
    }
  }

  private func answer(_ request: Request, from reader: any EventLogReader, into out: inout WireWriter) throws {
    let read = request.read
    let outcome = try reader.read(
      ReadRequest(
        topic: read.topic.name, epoch: read.epoch, after: read.after, upTo: read.upTo,
        bytesMax: min(Int(read.bytesMax), SchedulerLimits.pageBytesMax), nowMilliseconds: wall.milliseconds))
    metrics.reads.add()
    switch outcome {
    case .page(let page):
      metrics.readRows.add(page.rows.count)
      ReadResult.write(
        epoch: read.epoch, floor: page.floor, through: page.through, rows: page.rows, correlation: request.correlation,
        into: &out)
    case .otherEpoch(let epoch):
      out.frame(
        Failed(.failedPrecondition, "the topic's epoch is \(epoch)"), correlation: request.correlation)
    }
  }
}
