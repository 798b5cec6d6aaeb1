/// The bounds of the scheduler; those an operator may want to move are defaults of ``SchedulerSettings``.
public enum SchedulerLimits {
  /// Requests that join one commit: enough that what a commit costs by itself is nothing beside what its rows cost,
  /// few enough that the last of them waits some ten milliseconds.
  public static let groupMax = 1000
  /// Requests that wait for the engine; beyond it new ones are answered UNAVAILABLE. A second's work.
  public static let queueMax = 32 << 10
  /// Requests a gateway may have unanswered; what it is told in ``Welcome``.
  public static let linkCredit: UInt32 = 16 << 10
  /// Bytes on their way to one gateway, beyond which it gets no more Delivers until it has drained. Above the link's own
  /// high-water mark, so that draining is noticed.
  public static let linkBacklogBytesMax = 8 << 20
  /// A gateway that was stuck is told where its topics stand when so little is left.
  public static let linkBacklogBytesDrained = 1 << 20
  /// A publisher's name: an API key's owner or `user:{id}`.
  public static let ownerBytesMax = 256
  /// A ticket's id.
  public static let ticketBytesMax = 128
  /// A spent ticket is remembered for at least this long, which is as long as one is valid.
  public static let ticketMilliseconds: Int64 = 60_000
  /// Tickets remembered in memory at a time, while the log takes no writes: a minute of 4 000 connects a second.
  public static let ticketsMax = 1 << 18
  /// Events held for later, in all.
  public static let delayedMax = 1_000_000
  /// How far ahead an event may be held.
  public static let delayMilliseconds: Int64 = 365 * 24 * 3600 * 1000
  /// Delayed events that become due in one turn.
  public static let dueMax = 200
  /// What became of a held event is known for so long after its time: longer than anybody tries again to take it back.
  static let delayedKnownMilliseconds: Int64 = 24 * 3600 * 1000
  /// Broadcasts in the background at a time, those included whose recipients are coming: each has up to 13 MB of
  /// recipients in the log, and all of them share what time the log can spare.
  static let broadcastsMax = 16
  /// What a call that found too many is told to wait: a broadcast of the largest size takes some seconds.
  static let broadcastRetryMilliseconds: UInt32 = 5000
  /// Recipients that stop coming for so long are given up: a gateway hands one part in after the other.
  static let broadcastPartMilliseconds: Int64 = 60_000
  /// Recipients served in a turn in which nothing was asked for: a few milliseconds, for which a publish may wait.
  static let broadcastChunkIdle = 200
  /// The same beside requests: a small share of what the turn costs anyway.
  static let broadcastChunkBusy = 50
  /// Finished broadcasts that can be asked about: a busy week's campaigns.
  static let broadcastsKeptMax = 1000
  /// For so long: those of a weekend are looked at on Monday.
  static let broadcastKeptMilliseconds: Int64 = 7 * 24 * 3600 * 1000
  /// Topics remembered though nobody watches them: a publish to one of these reads nothing.
  public static let idleTopicsMax = 1 << 16
  /// Who may follow the log at a time: each is a plugin, not a client.
  public static let logFollowersMax = 16
  /// A follower that was not linked for as long is forgotten: the longest that a durable type lives by default.
  static let followerUnseenMilliseconds: Int64 = 7 * 24 * 3600 * 1000
  /// Events kept for followers, some 60 bytes each; the oldest go beyond it.
  public static let followedMax = 1_000_000
  /// Revocations kept at a time: each gateway holds them all, about 100 bytes each, and hears them all on a new link.
  public static let revocationsMax = 100_000
  /// Of the state that a new link begins with: a frame far below its bound.
  public static let revocationsPerFrame = 1000
  /// A gateway that has not confirmed a change of access by then is cut: the promise is that a revoked user is gone
  /// within a second.
  public static let accessConfirmMilliseconds: Int64 = 1000
  /// Acknowledged positions are written back this often: what a crash makes a device hear twice.
  public static let flushMilliseconds: Int64 = 1000
  /// A device's last-seen time is written at most this often.
  public static let seenMilliseconds: Int64 = 3600 * 1000
  /// And at most this often of a connection that polls what it subscribed to: beside twenty others of its user that came
  /// once, it is not the one that makes room.
  static let polledSeenMilliseconds: Int64 = 60_000
  /// Names of the topics that a connection polls: what does not fit into a ticket's URL is refused at the gateway.
  static let polledBytesMax = 4 << 10
  /// When a device last used a cursor is written at most this often, beside being moved: it is looked at in months.
  static let cursorUsedMilliseconds: Int64 = 24 * 3600 * 1000
  /// And this often in the time after which an unused cursor is forgotten, where that is short: what is noted is at most
  /// two such shares old, which leaves half of that time.
  static let cursorUsedShare: Int64 = 4
  /// Between two looks for devices nobody has seen for long.
  public static let deviceSweepMilliseconds: Int64 = 10_000
  /// A log that failed is tried again this often.
  public static let retryMilliseconds: Int64 = 1000
  /// A clock that moved further than this against the monotonic one has jumped.
  public static let clockJumpMilliseconds: Int64 = 60_000
  /// After a jump forward nothing is deleted and nothing held is released for this long, unless an operator says so.
  public static let clockHoldMilliseconds: Int64 = 600_000
  /// A topic is trimmed when it is over its bound by this share, so that trimming is done in chunks.
  public static let retentionSlackShare = 16
  /// A record is at most so large: 64 KiB of payload and its head and names.
  public static let recordBytesMax = 66 << 10
  /// Rows merged into the log's index for each appended one when there is a backlog, and at a time when there is none.
  public static let maintenanceShare = 2
  /// In an idle turn: some milliseconds, after which the queue is looked at again.
  public static let maintenanceRowsIdle = 200
  /// Messages of one chat that a marker newly covers, and that are counted: more than a topic keeps by default.
  static let unreadMax = 20_000
  /// Unread messages of one chat that are told: so many stand for as many or more. Nobody reads a larger number off a
  /// screen, and everybody who comes back after a week would have it counted.
  static let unreadToldMax = 1000
  /// Messages that lie both in an inbox and in their chat's topic and are compared for one question about read state: ten
  /// chats with as much unread as is told. Some ten milliseconds.
  static let unreadComparedMax = 20_000
  /// Questions about read state that wait, in all: a second's reconnects of a large gateway. Beyond it they are refused,
  /// and sessions come in without the answer.
  static let readStatesMax = 16 << 10
  /// Of one user: each of their devices comes in at the same moment, and some of them call besides. Each user has one
  /// answered in turn, so that no one's questions keep others waiting.
  static let readStatesOfUserMax = 32
  /// Answered before what came meanwhile is looked at: so many at most wait longer than their turn.
  static let readStatesPerTurn = 16
  /// A question that waited longer is refused: a session that comes in waits for it.
  static let readStateMilliseconds: Int64 = 2000
  /// Chats that one question about read state may name: a frame has room for their answers.
  static let readChatsMax = 2000
  /// Chats of an inbox that are told with what is unread in them: more than anybody reads.
  static let inboxChatsMax = 500
  /// Receipts told of one chat, newest first: those who read it last.
  static let receiptsOfChatMax = 50
  /// Receipts told in one answer: a frame has room for them.
  static let receiptsMax = 1000
  /// A receipt is told for as long: the time that its type's event lives.
  static let receiptMilliseconds: Int64 = 24 * 3600 * 1000
  /// Receipts that wait for a link that is full: some 300 bytes each, one a user and chat.
  static let missedReceiptsMax = 4096
  /// Receipts that a loop of a gateway is told after a new link, the newest: some milliseconds of the log's time.
  static let receiptsMissedMax = 500
  /// A chat of so many members at most has its receipts sent to their inboxes too; in larger ones to who watches it.
  static let receiptInboxesMax = 100
  /// Between two turns when nothing happens: how long the watchdog's question may wait.
  public static let idleMilliseconds: Int64 = 500
  /// For the engine to take what is queued and close the log; systemd's patience is longer.
  public static let stopMilliseconds: Int64 = 20_000
  /// Pages read before their answers leave together.
  public static let readsPerTurn = 64
  /// One page: far below a frame's bound even when the last record is the largest.
  public static let pageBytesMax = 512 << 10
  /// Requests waiting for the reader; beyond it new ones are answered UNAVAILABLE.
  public static let readsMax = 16 << 10
  /// Pages wait when more than so many quarters of a link's bound are on their way: what is live has the last one for
  /// itself. Above the link's high-water mark.
  static let pagesBacklogQuarters = 3
  /// How soon a link that was too full for pages is looked at again.
  static let heldReadMilliseconds: Int64 = 10
  /// Requests that wait for a link that is too full; beyond it they are answered UNAVAILABLE.
  static let heldReadsMax = 8 << 10
  /// How often the loop looks at what waits in its links.
  static let gaugeMilliseconds: Int64 = 100
  /// Operators who follow a topic at a time: each turn looks where their topics are.
  static let followersMax = 64
  /// How long one waits within a request, so that the request ends before its server's patience.
  static let followMillisecondsMax: Int64 = 20_000
  /// Events of one page for people, unless they say how many.
  static let controlRowsDefault = 100
  /// Places of one event that a trace tells: a person reads them.
  static let tracesMax = 100
  /// Devices of one topic that a trace tells.
  static let tracedDevicesMax = 500
  /// Whose events those are that operators publish: a name that the gateway gives them.
  static let operatorOwner = "avaloctl"
}
