import AvaloCore

/// The bounds of the gateway, each with its reason. Those that operators have reason to move are defaults of
/// ``GatewaySettings``, with the range they may be set to.
public enum GatewayLimits {
  // MARK: HTTP

  /// A request's line and headers. A token may have 8 KiB; the rest of a browser's headers fit in as much.
  public static let httpHeadBytesMax = 16 << 10
  /// Browsers send about twenty, proxies add some.
  public static let httpHeadersMax = 64
  /// A publish or broadcast carries 64 KiB of payload, and 1 000 user ids.
  public static let httpBodyBytesDefault = 256 << 10
  /// From a small publish to the largest broadcast that is worth one request.
  public static let httpBodyBytesRange = (4 << 10)...(1 << 20)
  /// Of a broadcast in the background, by a key that may: 100 000 ids of the largest size, and the payload.
  static let broadcastBodyBytesMax = 14 << 20
  /// A broadcast's body that is read where it arrived: a millisecond at most. A larger one is read beside the loop.
  static let bodyBytesOnLoopMax = 64 << 10
  /// Of those at a time, over all connections: each is held in memory twice meanwhile, and more threads than cores make
  /// nothing faster.
  static let bodiesReadMax = 4
  /// From a head's first byte to its last, and from a head's end to the body's. Whoever is slower holds a descriptor
  /// for nothing.
  public static let httpReadTimeDefault: Duration = .seconds(10)
  /// Between two requests. Longer than load balancers keep theirs (60 s), so that they close first.
  public static let httpIdleTimeDefault: Duration = .seconds(75)
  /// Nothing that is answered here takes longer, a held poll (60 s) included.
  public static let httpAnswerTimeMax: Duration = .seconds(75)
  /// A client that does not read its answers.
  public static let httpWriteTimeMax: Duration = .seconds(20)
  /// After a last answer to a request that was not read to its end: time to read the answer before the reset.
  public static let httpLingerTimeMax: Duration = .seconds(2)
  /// Requests of one connection that wait for their answers; then nothing more is read from it.
  public static let httpPipelinedMax = 64

  // MARK: Access

  /// A token's compact form: larger ones cost time before they are known to be good.
  public static let tokenBytesMax = 8 << 10
  /// Keys of the same algorithm that a token without `kid` is tried with.
  public static let keysTriedMax = 4
  /// Of a secret, PEM, JWKS or API key file.
  public static let keyFileBytesMax = 1 << 20
  /// Keys of all files together: issuers publish two or three at a time.
  public static let verificationKeysMax = 64
  /// API keys, each looked up by its hash: one a backend, with years of rotation.
  public static let apiKeysMax = 10_000
  /// RFC 7518 §3.2: a secret has at least its hash's size.
  public static let secretBytesMin = 32
  /// A page loads, then opens its socket.
  public static let ticketLifetime: Duration = .seconds(60)
  /// Proxies and browsers take URLs of this length everywhere.
  public static let ticketURLBytesMax = 4 << 10
  /// The clocks of two machines that keep time.
  public static let leewayDefault: Duration = .seconds(30)
  /// The most that may be set, before and after a reload.
  public static let leewayMax: Duration = .seconds(300)
  /// A revocation is kept for so long after the end of the tokens that it takes back: they are believed for the leeway
  /// after it, and the clocks of the gateway and of the log's keeper may be a minute apart.
  public static let revocationMargin: Duration = leewayMax + .seconds(60)
  /// Longer than any session should live without its user's signing in again.
  public static let tokenLifetimeDefault: Duration = .seconds(30 * 86_400)
  /// What is known of revocations counts for so long without the scheduler: the promise is that a revoked user is gone
  /// within a second.
  public static let accessAgeMax: Duration = .seconds(1)
  /// How often the link confirms that what is known is all there is: a few times within that age.
  public static let accessRefreshMilliseconds: Int64 = 250
  /// A revocation's moment may lie so far ahead of our clock, for the issuer's may be ahead.
  public static let revocationAheadMax: Duration = .seconds(60)

  /// Users that a feature flag names: testers and complaints, not a customer base.
  public static let flagUsersMax = 10_000

  // MARK: The web

  /// The whole answer of an identity provider.
  public static let webTimeMax: Duration = .seconds(5)
  /// Issuers publish a key hours before they use it.
  public static let keyRefreshDefault: Duration = .seconds(600)
  /// An issuer's outage over a night; a key that was withdrawn is believed at most this long.
  public static let keyStaleDefault: Duration = .seconds(24 * 3600)
  /// First delay after a fetch that failed; it doubles.
  public static let keyRetryMin: Duration = .seconds(1)
  /// The longest of them.
  public static let keyRetryMax: Duration = .seconds(60)
  /// Between two fetches that tokens with unknown keys cause: whoever invents keys makes us ask this often.
  public static let keyRefetchSpacing: Duration = .seconds(30)

  /// Failures in a row after which the membership webhook is left alone.
  public static let webhookFailuresMax = 5
  /// For so long: time for a backend's restart, short enough not to be noticed behind one.
  public static let webhookOpenTime: Duration = .seconds(10)
  /// How long "it could not be asked" is remembered: many connections of one user ask at once.
  public static let webhookRetryTime: Duration = .seconds(1)
  /// Questions on their way: what a backend of a few hundred requests a second can answer in time.
  public static let webhookRequestsMax = 200
  /// Of them one user's: a user has few devices, and each asks once.
  public static let webhookRequestsPerUserMax = 4
  /// Topics that one user may have it asked about in a ``webhookBudgetTime``: all of some connections, several times over.
  public static let webhookTopicsPerUserMax = 500
  /// Long enough that who is held off notices, short enough that who reconnects a lot does not.
  public static let webhookBudgetTime: Duration = .seconds(60)
  /// Decisions remembered: some 20 MB when it is full.
  public static let webhookDecisionsMax = 100_000
  /// An answer names at most the topics that were asked for.
  public static let webhookAnswerBytesMax = 64 << 10

  // MARK: Calls

  /// Publishes that wait for the log, over all connections: about a second's worth at full speed.
  public static let publishesInFlightDefault = 20_000
  /// One message of a WebSocket: 64 KiB of payload and the call around it.
  public static let messageBytesDefault = 80 << 10
  /// Users that one call names, but for broadcasts: members of a chat (``Limits/membersPerCallMax``), a contact list's presence.
  public static let usersPerCallMax = 1000
  /// Of one function by one user: as many as frames may come on one WebSocket. Nobody's fingers are that fast, and a client that
  /// calls in a circle costs its own user.
  public static let callsPerSecondDefault = 100
  /// A publish that the log has not answered by then is answered UNAVAILABLE: longer than a scheduler's restart.
  public static let publishTimeout: Duration = .seconds(10)
  /// Removed members of whom the presence worker is told again on a new link, some 100 bytes each: fifty full calls. Beyond
  /// it the first are forgotten: each who updates what is for chat partners says their chats anew.
  static let freshRemovalsMax = 50_000
  /// How long after it was told of one its file may not have it: a tenth of a second, and a write on a slow disk.
  static let freshRemovalAge: Duration = .seconds(5)
  /// Users asked for that count as one client frame more: the price of a call is what it names.
  public static let presenceUsersPerFrame = 100
  /// Presence queries that wait for their answer, over all connections.
  public static let presenceQueriesInFlightMax = 10_000
  /// A presence query that was not answered by then is answered UNAVAILABLE: longer than a restart of presence.
  public static let presenceTimeout: Duration = .seconds(5)
  /// How many clients of instances that drain may come back in a second, over all of them: half of what an instance takes
  /// with ease, so that the others' clients do not notice.
  public static let reconnectsPerSecondDefault = 500
  /// What of that rate is used: clients and networks are uneven, and the rate is not to be exceeded in any one second.
  static let reconnectShare = 0.9
  /// Kept from the end of a drain's time: the last goodbyes are to be on the wire before the process ends.
  public static let drainReserve: Duration = .seconds(1)
  /// A connection that was accepted just before a drain has so long to say what it wants.
  public static let drainLinger: Duration = .seconds(1)
  /// What a call that found too many in flight is told to wait.
  public static let overloadRetryMilliseconds = 1000
  /// The demo has a page, a style and a few scripts; a folder with more is another one, named by mistake.
  public static let demoFilesMax = 64
  /// All of them are held in memory.
  public static let demoFileBytesMax = 1 << 20
  /// A poll that has nothing to tell is held this long: below the 30 s after which some proxies give up.
  public static let pollHoldDefault: Duration = .seconds(25)
  /// Firebase's SDKs give up after 70 s.
  public static let pollHoldMax: Duration = .seconds(60)
  /// A poll whose hold was over before the log said what there is waits for that, at most so long: as long as a hub waits for
  /// the log.
  public static let pollBeginTime: Duration = .seconds(10)
  /// Topics of one connection, in one call or over its life.
  public static let topicsPerConnectionDefault = 100
  /// Users whose presence one connection watches: a contact list. What is known of each is kept once a loop.
  public static let presenceTopicsPerConnectionDefault = 1000
  /// Events of one page of a topic, unless the caller says otherwise.
  static let topicPageDefault: UInt32 = 100
  /// At most: a page is cut at half a megabyte anyway.
  static let topicPageMax: UInt32 = 1000
  /// Members of one page of a chat's.
  public static let membersPageDefault = 100
  /// From now: a delayed event lies in the log until then.
  public static let deliverAheadMax: Duration = .seconds(30 * 24 * 3600)
  /// Bytes of the two files of the delivery journal: some 60 000 connections that ended, with their positions.
  public static let traceBytesDefault = 16 << 20
  /// At most: a trace reads through them.
  static let traceBytesMax = 4 << 30
  /// Lines that wait to be written, in bytes: what a second of a reconnect storm brings is dropped beyond it.
  static let journalPendingBytesMax = 512 << 10
  /// How long lines wait so that one write takes many.
  static let journalMilliseconds = 1000
  /// Lines that a trace shows.
  static let journalLinesMax = 200
  /// Milliseconds since 1970 that are meant as such: 2001 to 2286. What lies below was meant as seconds.
  public static let timestampRange: ClosedRange<Int64> = 1_000_000_000_000...9_999_999_999_999
}
