/// The bounds of the client, each with its reason. Times are in milliseconds.
public enum ClientLimits {
  // MARK: What comes

  /// One frame from the server: a payload of 64 KiB with its envelope, escapes included, and room to grow.
  public static let frameBytesMax = 1 << 20
  /// One line of an event stream: a frame, with its field's name and the few bytes around it in a streamed call.
  static let streamLineBytesMax = frameBytesMax + 64
  /// The data of one event of a stream: the same frame, into however many lines somebody on the way has broken it.
  static let streamEventBytesMax = frameBytesMax + 64
  /// What is answered in place of a stream: a refusal, or a proxy's page that is only shown in part.
  static let refusalBytesMax = 64 << 10
  /// One HTTP answer: a page of metrics of many workers is the largest.
  public static let answerBytesMax = 16 << 20
  /// Updates that wait for their reader, after which the socket is not read: the server then holds the rest.
  public static let updatesHigh = 1_024
  /// The socket is read again when no more than so many wait: often enough that the reader never runs dry.
  public static let updatesLow = 256
  /// Updates that wait while the socket must be read for the answer to a call; beyond it the connection is given up, and
  /// the next one brings again what was not processed.
  public static let updatesMax = 16_384
  /// Events that no reader wants and that wait for one; as many states. Beyond it the oldest passes.
  public static let heldMax = updatesHigh
  /// How long an event waits whose type the application never asked for: its loops begin together, or nearly so.
  public static let heldFor: Int64 = 10_000
  /// Frames that have come and were not looked at, after which the socket is not read: more than a reader that keeps up
  /// ever leaves.
  static let framesHigh = 4_096
  /// The socket is read again when no more than so many are left.
  static let framesLow = 1_024
  /// Events seen, to leave what comes twice: more than a reconnect ever brings again.
  public static let seenMax = 20_000
  /// Versions of keyed state, by chat and user.
  public static let versionsMax = 5_000

  // MARK: Connecting

  /// For the application to say with which token: it may ask a server of its own, on a network that has just come up.
  public static let tokenTimeoutMilliseconds = 60_000
  /// Until it is asked again for a token that the connection needs soon: a few times before the old one ends.
  static let tokenRetry: Int64 = 5_000
  /// To make a connection when there is a token, and to be told `ready`. The server gives up on a silent one after the same.
  public static let connectTimeoutMilliseconds = 10_000
  /// The longest that the server may ask to wait: more is a mistake of its operator, and nobody would come back.
  public static let retryAfterMaxMilliseconds = 3_600_000
  /// The longest delay between two attempts: longer, and people reach for the restart button.
  public static let backoffMaxMilliseconds = 30_000
  /// A connection that has held for so long was a success: the next failure is the first.
  static let stableAfter: Int64 = 5_000
  /// Failures of the best transport that never got ready, before the next one is tried.
  static let failuresPerTransport = 2
  /// When, on a lesser transport, the best one is tried again: soon (the server may just have been away), then rarely.
  static let upgradeDelays: [Int64] = [5_000, 60_000, 300_000]
  /// What a stream or a poll may subscribe to, by the protocol.
  static let streamTopicsMax = 32
  /// How long a poll is held by the server.
  static let pollHoldMilliseconds = 25_000
  /// The poll that says what was processed: until the server has noticed that the stream, or the WebSocket, before it has
  /// ended.
  static let lastPollHoldMilliseconds = 1_000
  /// For all of saying that, with what it waits for: `shutdown()` waits for it.
  static let lastWordMilliseconds: Int64 = 5_000

  // MARK: Whether the other side is there

  /// Between two pings, whatever the server or the application says: no oftener than is of use, and often enough that a
  /// dead connection is found within the hour.
  static let pingIntervals: ClosedRange<Int64> = 100...3_600_000
  /// Silence behind the ping interval after which a ``RealtimeConnection`` counts as dead.
  public static let pingGraceMilliseconds = 10_000
  /// How long after a ping something must come in. The server's own grace.
  static let pongGrace: Int64 = 10_000
  /// The same when there is a doubt already: after a sleep, or a change of network.
  static let probeGrace: Int64 = 4_000
  /// A timer that fires so late was held up by a sleep, and what has come in is given so long to be read.
  static let lateGrace: Int64 = 1_000

  // MARK: What goes

  /// Calls without an answer on one connection; more would only hide that the server does not answer.
  public static let callsMax = 1_024
  /// To wait for an answer over HTTP, unless the caller says otherwise.
  public static let answerTimeoutMilliseconds = 30_000
  /// To wait for the answer to a call of ``RealtimeClient``, unless its options say otherwise: people wait for it.
  public static let callTimeoutMilliseconds = 10_000
  /// The longest that anybody waits for an answer or a connection, whatever they ask for: a day.
  static let waitMax: Int64 = 24 * 3_600 * 1_000
  /// The data of a call over the socket: with its frame, what the server takes as one message (80 KiB, or it ends the
  /// connection). Larger ones go over HTTP, where it takes 256 KiB.
  static let socketCallBytesMax = 64 << 10
  /// Acknowledgements wait so long for more of them; the server takes one a topic for all before.
  static let ackDelay: Int64 = 50
  /// Typing is told again so often while it goes on; it ends by itself after 5 s.
  static let typingEvery: Int64 = 3_000
  /// Chats of which it is remembered when typing was told last.
  static let typingChatsMax = 100

  // MARK: What waits for a connection

  /// Entries of one user in an outbox: a day of busy writing.
  public static let outboxEntriesMax = 1_000
  /// One entry: what the server takes of an event, with room for other calls.
  public static let outboxEntryBytesMax = 128 << 10
  /// Entries that go out at once: what a person does in a tunnel is told without a wait.
  static let outboxBurst: Int64 = 20
  /// Between two of more than that: 50 a second, half of what the server allows a connection and a user, so that the rest
  /// of the application has the other half.
  static let outboxEvery: Int64 = 20
  /// What became of entries, for a reader that lags: the newest.
  static let outboxEventsMax = 1_000
  /// Lines of an outbox's file that say nothing any more, beside as many as there are entries, before it is written anew.
  static let outboxGarbageMax = 256
  /// The first delay after a failure on a connection that holds; it doubles up to the longest.
  static let outboxRetryMin: Int64 = 1_000
  /// The longest: as between two connections.
  static let outboxRetryMax: Int64 = 30_000
}
