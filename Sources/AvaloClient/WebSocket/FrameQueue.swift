import NIOCore
import Synchronization

/// Frames between the event loop that reads them and the one task that handles them. When the task lags behind, the
/// socket is not read until it has caught up: the server sees a slow consumer, and memory stays bounded.
final class FrameQueue: Sendable {
  private static let high = 1_024
  private static let low = 256

  private let stream: AsyncStream<ServerFrame>
  private let continuation: AsyncStream<ServerFrame>.Continuation
  private let state = Mutex(State())

  private struct State {
    var count = 0
    var isPaused = false
    var channel: (any Channel)?
  }

  init() { (stream, continuation) = AsyncStream.makeStream(of: ServerFrame.self) }

  /// Tells the queue whose reading it holds back.
  func attach(_ channel: any Channel) { state.withLock { $0.channel = channel } }

  func push(_ frame: ServerFrame) {
    continuation.yield(frame)
    let paused: (any Channel)? = state.withLock {
      $0.count += 1
      guard $0.count >= FrameQueue.high, !$0.isPaused else { return nil }
      $0.isPaused = true
      return $0.channel
    }
    paused?.setOption(.autoRead, value: false).whenFailure { _ in }
  }

  func finish() {
    continuation.finish()
    state.withLock { $0.channel = nil }
  }

  fileprivate func taken() {
    let resumed: (any Channel)? = state.withLock {
      $0.count -= 1
      guard $0.count <= FrameQueue.low, $0.isPaused else { return nil }
      $0.isPaused = false
      return $0.channel
    }
    // A channel that has closed meanwhile has nothing to read.
    resumed?.setOption(.autoRead, value: true).whenFailure { _ in }
  }

  fileprivate func makeIterator() -> AsyncStream<ServerFrame>.Iterator { stream.makeAsyncIterator() }
}

/// The frames of one connection in order, for one reader. Ends with the connection.
public struct Frames: AsyncSequence, Sendable {
  public typealias Element = ServerFrame
  let queue: FrameQueue

  /// The one reader's place.
  public struct Iterator: AsyncIteratorProtocol {
    let queue: FrameQueue
    var frames: AsyncStream<ServerFrame>.Iterator

    public mutating func next() async -> ServerFrame? {
      guard let frame = await frames.next() else { return nil }
      queue.taken()
      return frame
    }
  }

  public func makeAsyncIterator() -> Iterator { Iterator(queue: queue, frames: queue.makeIterator()) }
}
