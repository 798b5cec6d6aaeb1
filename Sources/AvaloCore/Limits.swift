/// The bounds that belong to the values themselves; each target with bounds of its own has a `Limits` too.
public enum Limits {
  /// Ids of users, devices, chats, messages and topics: enough for a UUID with a prefix, small enough for an index.
  public static let identifierBytesMax = 128
  /// A topic kind is a word.
  public static let topicKindBytesMax = 32
  /// `kind:id`.
  public static let topicBytesMax = topicKindBytesMax + 1 + identifierBytesMax
  /// Event ids are free text to the publisher, but an index key to us.
  public static let eventIDBytesMax = 128
  /// One event's payload. Larger things belong in a blob store with a link to them in the event.
  public static let payloadBytesMax = 64 << 10
  /// Longest life of an event: log disk is planned by it.
  public static let ttlSecondsMax: UInt32 = 30 * 24 * 3600
  /// Objects and arrays within each other: a scanner's stack stays small.
  public static let jsonDepthMax = 32
  /// Recipients of one broadcast that is answered when committed.
  public static let broadcastRecipientsMax = 1000
  /// Recipients of one broadcast in the background: some seconds of the log's spare time, a request of a few megabytes. A
  /// larger audience is a `feed:`, which keeps one copy for all.
  public static let broadcastJobRecipientsMax = 100_000
  /// Members of one chat: a removal looks at each of its subscribers, and a change of all of them is one transaction.
  /// Larger audiences are a `feed:`, or named by their tokens.
  public static let chatMembersMax = 10_000
  /// Users named in one change of a chat's members: far below a frame's bound, a few milliseconds of the log's time.
  public static let membersPerCallMax = 1000
  /// A token's `jti`: enough for a UUID or a hash with a prefix; it is a key of ours when the token is revoked.
  public static let tokenIDBytesMax = 256
  /// A user's custom status: a line under their name.
  public static let customStatusBytesMax = 256
  /// A user's activity: a few words.
  public static let activityBytesMax = 128
  /// A place's name: a town and its country.
  public static let placeBytesMax = 64
  /// Chats of a user that presence knows, to tell partners from strangers: as many as a token can name. Of a user with
  /// more, the others' members count as strangers.
  public static let presenceChatsMax = 256
  /// Chats a user can be typing in at a time: they have two hands and a few devices.
  public static let typingChatsMax = 8
}
