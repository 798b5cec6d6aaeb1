import AvaloCore
import AvaloStore
import AvaloSystem
import AvaloWire
import Logging

/// The thread that reads pages for sessions that are behind, beside the engine, on a view of its own. A link that is
/// nearly full gets none until it has drained, so that a replay is never the reason that live events do not come.
final class PageReader: Sendable {
  struct Request: Sendable {
    var link: LinkID
    var gauge: LinkGauge
    var correlation: UInt32
    var wish: Wish
  }

  enum Wish: Sendable {
    /// For sessions that are behind.
    case page(Read)
    /// For a server.
    case topic(ReadTopic)
    /// For a plugin that follows the log.
    case followed(ReadFollowed)
  }

  private let queue = CommandQueue<Request>(max: SchedulerLimits.readsMax)
  private let backlogBytesMax: Int
  private let metrics: SchedulerMetrics
  private let wall: WallClock
  private let log: Logger

  init(_ settings: SchedulerSettings, metrics: SchedulerMetrics, wall: WallClock, log: Logger) {
    backlogBytesMax = settings.linkBacklogBytesMax / 4 * SchedulerLimits.pagesBacklogQuarters
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
    var held: [Request] = []
    while let arrived = queue.take(
      limit: SchedulerLimits.readsPerTurn,
      waitMilliseconds: held.isEmpty ? SchedulerLimits.idleMilliseconds : SchedulerLimits.heldReadMilliseconds)
    {
      guard !arrived.isEmpty || !held.isEmpty else { continue }
      let requests = held + arrived
      held.removeAll(keepingCapacity: true)
      var pages = LinkWriters()
      for request in requests where !request.gauge.hasEnded {
        if request.gauge.backlogBytes <= backlogBytesMax {
          pages.add(request.link, request.gauge) { answer(request, from: reader, into: &$0) }
        } else if held.count < SchedulerLimits.heldReadsMax {
          held.append(request)
        } else {
          metrics.refused(.overload)
          pages.add(request.link, request.gauge) { $0.frame(PageReader.tooMany, correlation: request.correlation) }
        }
      }
      if !pages.isEmpty { output(pages.frames) }
    }
  }

  private static let tooMany = Failed(
    .unavailable, "too many pages wait for this link: try again", retryAfterMilliseconds: 1000)

  private func answer(_ request: Request, from reader: any EventLogReader, into out: inout WireWriter) {
    do throws(LogError) {
      switch request.wish {
      case .page(let read): try answer(read, request.correlation, from: reader, into: &out)
      case .topic(let read):
        let page = try TopicReader(reader: reader, now: wall.milliseconds).page(read)
        metrics.reads.add()
        metrics.readRows.add(page.rows.count)
        out.frame(page, correlation: request.correlation)
      case .followed(let read): out.frame(try page(read, from: reader), correlation: request.correlation)
      }
    } catch {
      log.warning(
        "a page of the log cannot be read", metadata: ["topic_kind": "\(request.topicKind)", "reason": "\(error)"])
      out.frame(SchedulerCore.unreadable, correlation: request.correlation)
    }
  }

  private func page(_ read: ReadFollowed, from reader: any EventLogReader) throws(LogError) -> FollowedPage {
    let page = try reader.follow(
      FollowRequest(
        types: read.types, after: read.after, bytesMax: min(Int(read.bytesMax), SchedulerLimits.pageBytesMax),
        nowMilliseconds: wall.milliseconds))
    let rows = page.rows.compactMap { row in
      Topic(row.topic).map {
        FollowedPage.Row(sequence: row.sequence, topic: $0, offset: row.offset, record: row.record)
      }
    }
    return FollowedPage(through: page.through, gone: UInt32(page.gone), rows: rows)
  }

  private func answer(
    _ read: Read, _ correlation: UInt32, from reader: any EventLogReader, into out: inout WireWriter
  ) throws(LogError) {
    let outcome = try reader.read(
      ReadRequest(
        topic: read.topic.name, epoch: read.epoch, after: read.after, upTo: read.upTo,
        bytesMax: min(Int(read.bytesMax), SchedulerLimits.pageBytesMax), nowMilliseconds: wall.milliseconds))
    metrics.reads.add()
    switch outcome {
    case .page(let page):
      metrics.readRows.add(page.rows.count)
      ReadResult.write(
        epoch: read.epoch, floor: page.floor, through: page.through, rows: page.rows, correlation: correlation,
        into: &out)
    case .otherEpoch(let epoch):
      out.frame(Failed(.failedPrecondition, "the topic's epoch is \(epoch)"), correlation: correlation)
    }
  }
}

extension PageReader.Request {
  /// Of one for a session that is behind.
  init(link: LinkID, gauge: LinkGauge, correlation: UInt32, read: Read) {
    self.init(link: link, gauge: gauge, correlation: correlation, wish: .page(read))
  }

  fileprivate var topicKind: Substring {
    switch wish {
    case .page(let read): read.topic.kind
    case .topic(let read): read.topic.kind
    case .followed: "all"
    }
  }
}
