import AvaloCore
import AvaloStore
import AvaloSystem
import Dispatch

/// Pages of the log for people: read beside the engine, and beside the reader that serves gateways, so that a curious
/// operator holds up neither.
///
/// Sendable because the reader is used on the queue alone.
final class ControlPages: @unchecked Sendable {
  private let reader: any EventLogReader
  let wall: WallClock
  private let queue = DispatchQueue(label: "control-pages")

  init(_ reader: HandedOver<any EventLogReader>, wall: WallClock) {
    self.reader = reader.value
    self.wall = wall
  }

  /// One page of a topic, of at most `limit` events.
  func read(
    _ topic: String, epoch: Epoch, after: UInt64, upTo: UInt64, limit: Int
  ) async throws(LogError) -> ReadOutcome {
    let request = ReadRequest(
      topic: topic, epoch: epoch, after: after, upTo: upTo, bytesMax: SchedulerLimits.pageBytesMax,
      nowMilliseconds: wall.milliseconds)
    let outcome = try await run { reader throws(LogError) in try reader.read(request) }
    guard case .page(var page) = outcome, page.rows.count > limit else { return outcome }
    page.rows.removeSubrange(limit...)
    page.through = page.rows.last?.offset ?? after
    return .page(page)
  }

  /// What became of an event. Reads through all that is kept.
  func trace(_ request: TraceRequest) async throws(LogError) -> EventTrace {
    try await run { reader throws(LogError) in try reader.trace(request) }
  }

  func devices(of topic: String, limit: Int) async throws(LogError) -> [TracedDevice] {
    try await run { reader throws(LogError) in try reader.devices(of: topic, limit: limit) }
  }

  private func run<Value>(
    _ body: @escaping @Sendable (any EventLogReader) throws(LogError) -> Value
  ) async throws(LogError) -> Value {
    let result = await withCheckedContinuation { continuation in
      queue.async { [self] in
        let result = Result { () throws(LogError) in try body(reader) }
        continuation.resume(returning: HandedOver(result))
      }
    }
    return try result.value.get()
  }
}
