import AvaloCore
import NIOCore
import NIOPosix

/// A listener that stays: connects, comes back after every loss, resumes where it was, and tells what it is told.
///
/// What was handled is acknowledged: an event counts as processed when the handler returns. Every offset is checked;
/// duplicates are left out, and a hole that nobody announced is said to be one. It keeps positions in memory only:
/// after a restart of the program the server resumes from the device's acknowledged cursor.
public struct RealtimeClient: Sendable {
  public var endpoint: Endpoint
  /// Asked before every attempt, so that a token which has ended is replaced.
  public var authentication: @Sendable () async throws -> ConnectRequest.Authentication
  public var deviceID: String?
  public var platform = Platform.unknown
  /// The user's own inbox when `nil`.
  public var subscriptions: [String]?
  /// Milliseconds before the second attempt, and at most.
  public var backoff = ClientLimits.backoffMilliseconds
  public var group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

  public enum Update: Sendable {
    case connected(ServerFrame.Ready)
    case event(Delivery)
    /// What is told about the present, of no log.
    case fact(Fact)
    /// The server said that these will not come.
    case gap(ServerFrame.Gap)
    /// These were passed over without a word.
    case hole(topic: String, ClosedRange<UInt64>)
    case live(topic: String, Position)
    /// The subscription has ended: the user has no right to the topic any more.
    case unsubscribed(topic: String, CallError)
    /// The server said what was wrong.
    case complaint(CallError)
    /// The connection ended or was not made; the next attempt follows after so many milliseconds.
    case disconnected(ClientError, retryAfterMilliseconds: Int)
  }

  public init(
    _ endpoint: Endpoint, authentication: @escaping @Sendable () async throws -> ConnectRequest.Authentication
  ) {
    self.endpoint = endpoint
    self.authentication = authentication
  }

  /// A connection that lived this long, in milliseconds, clears the count of failures: one that is ended right after
  /// `ready` again and again must not be made again and again at once.
  private static let provenAfter = Duration.seconds(5)

  /// Listens until the task is cancelled, the handler throws, or the server refuses for good (throws ``ClientError``).
  public func run(_ handle: (Update) async throws -> Void) async throws {
    var progress = Progress()
    var backoff = Backoff(backoff)
    var generator = SystemRandomNumberGenerator()
    while true {
      try Task.checkCancellation()
      let started = ContinuousClock.now
      let ending: ClientError
      var comeBackMilliseconds: Int?
      do {
        ending = .closed(try await listen(&progress, &comeBackMilliseconds, handle))
      } catch let error as ClientError {
        ending = error
      }
      try Task.checkCancellation()
      guard ending.isRetryable else { throw ending }
      if ContinuousClock.now - started > RealtimeClient.provenAfter { backoff.reset() }
      let delay = ending.retryAfterMilliseconds ?? comeBackMilliseconds ?? backoff.next(using: &generator)
      try await handle(.disconnected(ending, retryAfterMilliseconds: delay))
      try await Task.sleep(for: .milliseconds(delay))
    }
  }

  /// One connection, from the first attempt to its end. `comeBackMilliseconds` is when to come back, if the server says so.
  private func listen(
    _ progress: inout Progress, _ comeBackMilliseconds: inout Int?, _ handle: (Update) async throws -> Void
  ) async throws -> CloseReason {
    let request = ConnectRequest(
      try await authentication(), deviceID: deviceID, platform: platform, subscriptions: subscriptions,
      positions: progress.positions)
    let connection = try await RealtimeConnection.open(endpoint, request, group: group)
    defer { connection.close() }
    return try await withTaskCancellationHandler {
      try await handle(.connected(connection.ready))
      for await frame in connection.frames {
        if case .goaway(let milliseconds) = frame { comeBackMilliseconds = milliseconds }
        try await take(frame, connection, &progress, handle)
      }
      return await connection.closeReason
    } onCancel: {
      connection.close()
    }
  }

  private func take(
    _ frame: ServerFrame, _ connection: RealtimeConnection, _ progress: inout Progress,
    _ handle: (Update) async throws -> Void
  ) async throws {
    switch frame {
    case .event(let delivery):
      let finding = progress.take(delivery)
      if case .hole(let offsets) = finding { try await handle(.hole(topic: delivery.topic, offsets)) }
      if let skipped = delivery.skipped { try await handle(.gap(skipped)) }
      if finding != .duplicate { try await handle(.event(delivery)) }
      guard !delivery.isAhead, let position = progress.positions[delivery.topic] else { return }
      connection.acknowledge([delivery.topic: position])
    case .fact(let fact): try await handle(.fact(fact))
    case .gap(let gap):
      progress.take(gap)
      try await handle(.gap(gap))
    case .live(let topic, let position):
      if let hole = progress.takeLive(topic: topic, head: position) { try await handle(.hole(topic: topic, hole)) }
      try await handle(.live(topic: topic, position))
    case .unsubscribed(let topic, let error): try await handle(.unsubscribed(topic: topic, error))
    case .goaway(let milliseconds):
      // The server ends it now; if it does not, we do by the time that we are to be back.
      connection.close(after: .milliseconds(milliseconds))
    case .error(let error):
      try await handle(.complaint(error))
    // Without a new token the server ends the connection, and the next attempt brings one.
    case .expiring, .ready, .answer, .pong, .unknown: break
    }
  }
}

extension ClientError {
  /// Whether coming back can succeed.
  var isRetryable: Bool {
    switch self {
    case .unreachable, .timedOut, .broken: true
    case .closed(let reason): reason.isRetryable
    case .refused(let error):
      switch error.code {
      case .unauthenticated, .permissionDenied, .invalidArgument, .failedPrecondition, .notFound, .unimplemented: false
      default: true
      }
    }
  }

  var retryAfterMilliseconds: Int? {
    if case .refused(let error) = self { error.retryAfterMilliseconds } else { nil }
  }
}
