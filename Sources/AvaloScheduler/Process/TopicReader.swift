import AvaloCore
import AvaloStore
import AvaloWire

/// Reads a page of a topic for a server, on the reader's thread: finds where it begins, and says what is gone. A value
/// made for one request; keeps nothing.
struct TopicReader {
  let reader: any EventLogReader
  /// Milliseconds since 1970: what has expired by then is not shown.
  let now: Int64

  /// Throws UNAVAILABLE when the topic's epoch changes meanwhile: asking again makes sense then.
  func page(_ request: ReadTopic) throws(LogError) -> TopicPage {
    let epoch = try epoch(of: request.topic)
    let end = try read(request.topic, epoch, after: TopicReader.beyond, rows: 1)
    let head = end.through
    var after = min(request.after.offset, head)
    if request.sinceMilliseconds > 0 {
      after = try place(of: request.sinceMilliseconds, in: request.topic, epoch, above: end.floor, upTo: head)
    } else if request.after.epoch != .none, request.after.epoch != epoch {
      after = 0
    }
    let page = try read(
      request.topic, epoch, after: after, upTo: head, rows: Int(request.limit), bytes: SchedulerLimits.pageBytesMax)
    return TopicPage(
      head: Position(epoch: epoch, offset: head), floor: page.floor, after: after, through: page.through,
      rows: page.rows.map { TopicPage.Row(offset: $0.offset, record: $0.record) })
  }

  /// The offset behind which the first event lies that was accepted at `moment` or later. Events of a topic are in the
  /// order in which they were accepted, as far as the gateways' clocks agree.
  private func place(
    of moment: Int64, in topic: Topic, _ epoch: Epoch, above floor: UInt64, upTo head: UInt64
  ) throws(LogError) -> UInt64 {
    var low = floor
    var high = max(floor, head)
    while low < high {
      let middle = low + (high - low) / 2
      let first = try read(topic, epoch, after: middle, upTo: high, rows: 1).rows.first
      if let first, !TopicReader.wasAccepted(first.record, since: moment) {
        low = first.offset
      } else {
        high = middle
      }
    }
    return low
  }

  private static func wasAccepted(_ record: [UInt8], since moment: Int64) -> Bool {
    record.withUnsafeBytes { EventRecord($0).map { $0.acceptedMicroseconds / 1000 >= moment } ?? true }
  }

  // MARK: Steps

  /// Beyond every head, and a number that the file can hold.
  private static let beyond = UInt64(Int64.max)

  private func epoch(of topic: Topic) throws(LogError) -> Epoch {
    let request = ReadRequest(
      topic: topic.name, epoch: .none, after: TopicReader.beyond, upTo: TopicReader.beyond, bytesMax: 1, rowsMax: 1,
      nowMilliseconds: now)
    switch try reader.read(request) {
    case .otherEpoch(let epoch): return epoch
    case .page: return .none
    }
  }

  private func read(
    _ topic: Topic, _ epoch: Epoch, after: UInt64, upTo: UInt64 = TopicReader.beyond, rows: Int, bytes: Int = 1
  ) throws(LogError) -> ReadPage {
    let request = ReadRequest(
      topic: topic.name, epoch: epoch, after: after, upTo: upTo, bytesMax: bytes, rowsMax: rows, nowMilliseconds: now)
    switch try reader.read(request) {
    case .page(let page): return page
    case .otherEpoch: throw .unavailable("the epoch of a topic changed while it was read")
    }
  }
}
