import AvaloCore
import NIOCore
import NIOPosix
import Synchronization

/// Carries a connection over held polls, which pass everywhere. Handing a cursor back acknowledges what came before it, so
/// the next poll waits until all readers have processed that, or passed it over.
public struct PollTransport: RealtimeTransport {
  public let name = "poll"
  public let isDuplex = false
  private let security: TransportSecurity
  private let group: any EventLoopGroup

  /// Polls over connections of their own.
  public init(
    security: TransportSecurity = TransportSecurity(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    self.security = security
    self.group = group
  }

  public func open(
    _ opening: TransportOpening, _ tell: @escaping @Sendable (TransportEvent) -> Void
  ) -> any TransportLink {
    // A connection of its own: a poll that is held would hold up whatever comes behind it.
    let http = HTTPClient(opening.endpoint, security: security, group: group)
    return PollLink(opening, http, tell)
  }

  public func passes(_ opening: TransportOpening) async -> Bool { true }
}

/// One series of polls. Its task asks; whoever closes it ends the task.
final class PollLink: TransportLink {
  private let http: HTTPClient
  private let tell: @Sendable (TransportEvent) -> Void
  private let state = Mutex(State())

  private struct State {
    var task: Task<Void, Never>?
    var isOver = false
    /// How far topics have passed the readers.
    var processed: [String: Position] = [:]
    /// The task, while something is not processed.
    var waiting: (need: [String: Position], continuation: CheckedContinuation<Void, Never>)?

    func hasProcessed(_ need: [String: Position]) -> Bool {
      need.allSatisfy { topic, position in
        processed[topic].map { $0.epoch == position.epoch && $0.offset >= position.offset } ?? false
      }
    }

    /// Who waits, if there is nothing to wait for any more.
    mutating func release() -> CheckedContinuation<Void, Never>? {
      guard let waiting, isOver || hasProcessed(waiting.need) else { return nil }
      self.waiting = nil
      return waiting.continuation
    }
  }

  init(_ opening: TransportOpening, _ http: HTTPClient, _ tell: @escaping @Sendable (TransportEvent) -> Void) {
    self.http = http
    self.tell = tell
    // Cancelled by `close`, and over with the connection otherwise.
    let task = Task { await run(opening) }
    state.withLock { $0.task = task }
  }

  /// Only what is processed is of interest.
  func send(_ frame: ClientFrame) {
    guard case .acknowledge(let positions) = frame else { return }
    let waiting = state.withLock { state in
      state.processed.merge(positions) { $1 }
      return state.release()
    }
    waiting?.resume()
  }

  /// Nothing is read that was not asked for.
  func setReading(_ isReading: Bool) {}

  func close() {
    let (task, waiting) = state.withLock { state in
      state.isOver = true
      return (state.task, state.release())
    }
    task?.cancel()
    waiting?.resume()
    // Ends with the connection, which a poll may be held on.
    Task { await http.close() }
  }

  func waitUntilClosed() async { await state.withLock { $0.task }?.value }

  // MARK: The polls

  private func run(_ opening: TransportOpening) async {
    do {
      try await poll(opening)
    } catch let error as ClientError {
      end(TransportEnding(error))
    } catch {
      end(TransportEnding(text: "\(error)"))
    }
    await http.close()
  }

  private func poll(_ opening: TransportOpening) async throws {
    guard case .token(let token) = opening.request.authentication else {
      throw ClientError.misused("polls need a token")
    }
    let client = CallableClient(http, credential: token)
    let answer = try await client.call(
      "subscribeToRealtimeEventsV1", opening.request.data,
      timeout: .milliseconds(ClientLimits.connectTimeoutMilliseconds))
    guard let (ready, first) = try PollAnswer.begin(answer) else { return end(TransportEnding(code: 4504)) }
    told(.frame(.ready(ready)))
    var cursor = first
    // An answer brings what was there in pages, maybe of one topic only: until one brings nothing, more may be there, and
    // no poll is held.
    var isReplay = true
    while state.withLock({ !$0.isOver }) {
      let data = PollAnswer.request(
        ready.connectionID, cursor: cursor, deviceID: opening.request.deviceID,
        subscriptions: ready.subscriptions.isEmpty ? opening.request.subscriptions ?? [] : ready.subscriptions,
        holdMilliseconds: isReplay ? 0 : ClientLimits.pollHoldMilliseconds)
      let answer = try PollAnswer(
        await client.call(
          "realtimePingV1", data,
          timeout: .milliseconds(ClientLimits.pollHoldMilliseconds + ClientLimits.connectTimeoutMilliseconds)))
      told(.alive)
      isReplay = isReplay && !answer.news.isEmpty
      for frame in isReplay ? answer.news : answer.news + answer.live { told(.frame(frame)) }
      cursor = answer.cursor
      await processed(answer.need)
    }
  }

  /// Waits until it is, or all is over.
  private func processed(_ need: [String: Position]) async {
    await withCheckedContinuation { continuation in
      let isDone = state.withLock { state in
        if state.isOver || state.hasProcessed(need) { return true }
        state.waiting = (need, continuation)
        return false
      }
      if isDone { continuation.resume() }
    }
  }

  private func told(_ event: TransportEvent) {
    if state.withLock({ !$0.isOver }) { tell(event) }
  }

  private func end(_ ending: TransportEnding) {
    let isFirst = state.withLock { state in
      defer { state.isOver = true }
      return !state.isOver
    }
    if isFirst { tell(.closed(ending)) }
  }
}
