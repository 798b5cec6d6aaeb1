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
  private let wall: WallClock
  private let queue = DispatchQueue(label: "control-pages")

  init(_ reader: HandedOver<any EventLogReader>, wall: WallClock) {
    self.reader = reader.value
    self.wall = wall
  }

  /// One page of a topic, of at most `limit` events.
  func read(
    _ topic: String, epoch: Epoch, after: UInt64, upTo: UInt64, limit: Int
  ) async throws(LogError) -> ReadOutcome {
    let result = await withCheckedContinuation { continuation in
      queue.async { [self] in
        let request = ReadRequest(
          topic: topic, epoch: epoch, after: after, upTo: upTo, bytesMax: SchedulerLimits.pageBytesMax,
          nowMilliseconds: wall.milliseconds)
        let result = Result { () throws(LogError) in try reader.read(request) }
        continuation.resume(returning: HandedOver(result))
      }
    }
    let outcome = try result.value.get()
    guard case .page(var page) = outcome, page.rows.count > limit else { return outcome }
    page.rows.removeSubrange(limit...)
    page.through = page.rows.last?.offset ?? after
    return .page(page)
  }
}
