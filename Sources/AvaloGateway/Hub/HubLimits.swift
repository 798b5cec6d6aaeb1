/// The bounds of sessions and delivery that nobody has reason to move; the others are in ``GatewayLimits`` and the settings.
enum HubLimits {
  /// An attach that the scheduler has not answered by then: better another gateway than a hung client.
  static let attachSecondsMax: UInt32 = 10
  /// Client frames (calls, pings) in one second.
  static let callsPerSecondMax: UInt16 = 100
  /// Frames of acknowledgements in one second: a client that acknowledges each event of a fast topic by itself.
  static let acknowledgementsPerSecondMax: UInt16 = 1_000
  /// Receipts held for one session that comes in, some 300 bytes each; of more it asks where everybody stands.
  static let heldReceiptsMax = 32
  /// Denials to sessions that are in, noted in a second by a loop: people mistake a right or two, a client that asks on and
  /// on would push everything else out of the files.
  static let notedDenialsPerSecond = 50
  /// What a client is told to wait at least when it is sent on: time for its close handshake.
  static let goawayDelayMin: Duration = .milliseconds(100)
  /// What a client that sent too many frames is told to wait before it connects again: the allowance is new by then.
  static let rateRetryMilliseconds = 1_000
  /// What a user with too many connections is told to wait: long enough for one that was lost to be noticed by its client.
  static let userRetryMilliseconds = 5_000
  /// As how many of them a token counts, whose signature costs the loop a fraction of a millisecond.
  static let tokenFrames: UInt16 = 20
  /// As how many a frame counts that is not of the protocol: whoever sends them in numbers is mended by being closed.
  static let badFrameFrames: UInt16 = 10
  /// A page of replay, before JSON: small enough that one session's replay never fills a turn.
  static let readPageBytes: UInt32 = 64 << 10
  /// Reads under way from one loop; further ones wait their turn, so that a storm of resumes does not flood the link.
  static let readsMax = 512
  /// Urgent events that may overtake one session's replay, after which urgent waits its turn.
  static let aheadMax = 32
  /// Topics of an event stream: its events' ids, which come back in a header, hold a position for each.
  static let streamTopicsMax = 32
  /// Before its token's end a client is told: time to fetch another one, and to send it.
  static let expiryWarningMilliseconds: Int64 = 60_000
  /// Entries of one Watch, Acknowledge or Sessions frame.
  static let batchMax = 512
  /// Between two reports to the presence worker of whether a session was heard of.
  static let seenReportSeconds: UInt32 = 60
  /// Sessions of a loop that the log is asked about at a time, for which chats they are in: it has other things to do, and a
  /// new link asks about all who watch.
  static let membershipQuestionsMax = 64
  /// How long an answer stands for a session that is shown less than chat partners are: whoever became a member since is
  /// shown it after so long.
  static let membershipSeconds: UInt32 = 15
  /// Of those, asked about again in a second by a loop: a thousand within ``membershipSeconds``. Of those who are in as many
  /// chats as count the whole gateway asks about half as many: they have half of ``membershipLookupsPerSecond``.
  static let membershipRefreshesPerSecond = 64
  /// Sessions of a loop, and what they watch, looked at in a second for whether they need to be asked about again: ten
  /// thousand who watch fifty users each, on a gateway's loops, nearly within ``membershipSeconds``, at a millisecond or two.
  static let membershipLooksPerSecond = 16_384
  /// Chats that the log names in a second for all loops of a gateway, each of them a row that it reads: some hundredths of
  /// its time, also when it has just begun and all who watch are asked about while all connections come in.
  static let membershipLookupsPerSecond = 16_384
  /// What a question costs at least, in such chats: to carry it and its answer.
  static let membershipLookupsMin = 16
  /// Chats remembered for one watched user who was removed from them a moment ago: so many at once are rare, and of
  /// others the presence worker says it a moment later.
  static let endedChatsMax = 16
  /// For how long, from the removal or from the link that was made since: by far longer than a change is on its way from the
  /// presence worker.
  static let endedChatSeconds: UInt32 = 15
  /// Entries that a table of passing things keeps room for when it is empty.
  static let tableCapacityKept = 1024
  /// Subscriptions that one loop tells of when it is asked what became of an event.
  static let tracedMax = 500
  /// Bytes of a client's call id.
  static let callIDBytesMax = 64
}
