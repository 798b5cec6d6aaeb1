import AvaloCore

/// For backends: the functions of a server that need an API key. All of them may be called again without harm, and are,
/// while the server is away.
///
///     let server = RealtimeServer(endpoint, apiKey: key)
///     try await server.publishRealtimeEvent(EventDraft(.notification, to: .user("ann"), payload: payload))
public struct RealtimeServer: Sendable {
  /// How long one attempt may take.
  public var timeout = Duration.milliseconds(ClientLimits.callTimeoutMilliseconds)
  /// Attempts after the first, while the server is away: about ten seconds.
  public var retries = 4
  private let client: CallableClient

  /// - `apiKey`: `avk_…`
  public init(_ endpoint: Endpoint, apiKey: String, security: TransportSecurity = TransportSecurity()) {
    client = CallableClient(HTTPClient(endpoint, security: security), credential: apiKey)
  }

  /// Publishes an event. When it is answered, it is kept. Throws ``ClientError``.
  @discardableResult
  public func publishRealtimeEvent(_ event: EventDraft) async throws -> PublishResult {
    try event.check()
    return try PublishResult(await call("publishRealtimeEvent", event.data))
  }

  /// Publishes an event to many users at once: to all or none up to 1 000; up to 100 000 are served in the background,
  /// and then the answer has a ``BroadcastResult/broadcastID``. The event's destination is left out. Throws ``ClientError``.
  @discardableResult
  public func broadcastToUsers(_ userIDs: [String], _ event: EventDraft) async throws -> BroadcastResult {
    try event.check()
    var event = event
    event.destination = .none
    let data = JSONText { json in
      json.object {
        $0.key("userIds")
        $0.array { for user in userIDs { $0.string(user) } }
        $0.key("event")
        $0.object { event.write(to: &$0) }
      }
    }
    return try BroadcastResult(await call("broadcastToUsers", data))
  }

  /// Calls any function, again while the server is away: after a fifth of a second at most, then four times as long each time,
  /// up to five seconds, or when the server says. Throws ``ClientError``.
  public func call(_ name: String, _ data: JSONText) async throws -> JSONText {
    var failures = 0
    while true {
      do {
        return try await client.call(name, data, timeout: timeout)
      } catch let error as ClientError where error.isTransient && failures < retries {
        failures += 1
        let bound = RealtimeServer.longestDelay(failures)
        let delay = max(error.retryAfterMilliseconds ?? 0, Int.random(in: bound / 2...bound))
        try await Task.sleep(for: .milliseconds(delay))
      }
    }
  }

  /// Milliseconds, after so many failures.
  static func longestDelay(_ failures: Int) -> Int { min(5_000, 200 << min(2 * (failures - 1), 10)) }

  /// Ends the connection to the server; the next call makes a new one.
  public func close() async { await client.close() }
}

/// What became of a broadcast: the log has the event and every user.
public struct BroadcastResult: Sendable, Equatable {
  /// The event's, the same in every inbox.
  public var eventID: String
  /// How many users have it, or will.
  public var recipients: Int
  /// Set for one that is served in the background; `getBroadcast` tells how far it is.
  public var broadcastID: String?
  /// It had been published before.
  public var isDuplicate: Bool

  init(_ answer: JSONText) throws(ClientError) {
    (eventID, recipients, broadcastID, isDuplicate) = try answer.reading { view in
      guard let id = view["eventId"]?.string, let count = view["recipients"]?.integer else { return nil }
      return (id, Int(clamping: count), view["broadcastId"]?.string, view["duplicate"]?.boolean ?? false)
    }
  }
}
