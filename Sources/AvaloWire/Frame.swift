/// Frames between our processes: a fixed head, then a body whose shape the kind decides.
///
///     0 u32 body bytes · 4 u16 kind · 6 u16 reserved (0) · 8 u32 correlation · 12 body      (little-endian)
///
/// An answer carries its request's correlation; 0 where nothing is answered. A frame that does not parse closes the
/// link, never the process.
public enum Frame {
  public static let headBytes = 12

  /// A frame's head.
  public struct Head: Equatable, Sendable {
    public var bodyBytes: Int
    public var kind: FrameKind
    public var correlation: UInt32

    public init(bodyBytes: Int, kind: FrameKind, correlation: UInt32) {
      self.bodyBytes = bodyBytes
      self.kind = kind
      self.correlation = correlation
    }
  }

  /// Reads the head at the start of `bytes`; `nil` when fewer than ``headBytes`` have arrived.
  /// Throws when the peer announces a body over the bound or the reserved bits are set.
  @inlinable public static func head(of bytes: UnsafeRawBufferPointer) throws(WireError) -> Head? {
    guard bytes.count >= headBytes else { return nil }
    let length = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
    guard length <= WireLimits.frameBodyBytesMax else { throw .frameTooLarge(Int(length)) }
    guard bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self) == 0 else { throw .malformed("reserved bits") }
    return Head(
      bodyBytes: Int(length),
      kind: FrameKind(rawValue: UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self))),
      correlation: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
  }
}

/// What a frame's body is. Numbers, not a closed enum: a plugin declares its own from 0x8000.
public struct FrameKind: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  // 0x00xx: every link.
  public static let hello = FrameKind(rawValue: 0x0001)
  public static let welcome = FrameKind(rawValue: 0x0002)
  public static let failed = FrameKind(rawValue: 0x0003)
  public static let probe = FrameKind(rawValue: 0x0004)
  public static let probed = FrameKind(rawValue: 0x0005)

  // 0x01xx: gateway and scheduler.
  public static let publish = FrameKind(rawValue: 0x0101)
  public static let published = FrameKind(rawValue: 0x0102)
  public static let broadcast = FrameKind(rawValue: 0x0103)
  public static let broadcasted = FrameKind(rawValue: 0x0104)
  public static let attach = FrameKind(rawValue: 0x0105)
  public static let attached = FrameKind(rawValue: 0x0106)
  public static let detach = FrameKind(rawValue: 0x0107)
  public static let watch = FrameKind(rawValue: 0x0108)
  public static let watched = FrameKind(rawValue: 0x0109)
  public static let unwatch = FrameKind(rawValue: 0x010A)
  public static let unwatched = FrameKind(rawValue: 0x010B)
  public static let deliver = FrameKind(rawValue: 0x010C)
  public static let lagged = FrameKind(rawValue: 0x010D)
  public static let read = FrameKind(rawValue: 0x010E)
  public static let readResult = FrameKind(rawValue: 0x010F)
  public static let acknowledge = FrameKind(rawValue: 0x0110)
  public static let cursors = FrameKind(rawValue: 0x0111)
  public static let accessChanged = FrameKind(rawValue: 0x0112)
  public static let accessLive = FrameKind(rawValue: 0x0113)
  public static let accessConfirmed = FrameKind(rawValue: 0x0114)
  public static let changeMembers = FrameKind(rawValue: 0x0115)
  public static let membersChanged = FrameKind(rawValue: 0x0116)
  public static let listMembers = FrameKind(rawValue: 0x0117)
  public static let memberList = FrameKind(rawValue: 0x0118)
  public static let membershipQuery = FrameKind(rawValue: 0x0119)
  public static let membershipAnswer = FrameKind(rawValue: 0x011A)
  public static let revoke = FrameKind(rawValue: 0x011B)
  public static let revoked = FrameKind(rawValue: 0x011C)
  public static let erase = FrameKind(rawValue: 0x011D)
  public static let erased = FrameKind(rawValue: 0x011E)

  public static let markRead = FrameKind(rawValue: 0x0120)
  public static let markedRead = FrameKind(rawValue: 0x0121)
  public static let queryReads = FrameKind(rawValue: 0x0122)
  public static let readState = FrameKind(rawValue: 0x0123)
  public static let latest = FrameKind(rawValue: 0x0124)
  // To presence, of what the log says.
  public static let partnershipsEnded = FrameKind(rawValue: 0x0125)
  public static let startsQuery = FrameKind(rawValue: 0x0126)
  public static let starts = FrameKind(rawValue: 0x0127)
  public static let polledQuery = FrameKind(rawValue: 0x0128)
  public static let polled = FrameKind(rawValue: 0x0129)
  public static let stopPolling = FrameKind(rawValue: 0x012A)

  public static let beginBroadcast = FrameKind(rawValue: 0x0130)
  public static let broadcastBegun = FrameKind(rawValue: 0x0131)
  public static let broadcastPart = FrameKind(rawValue: 0x0132)
  public static let broadcastPartTaken = FrameKind(rawValue: 0x0133)
  public static let broadcastQuery = FrameKind(rawValue: 0x0134)
  public static let broadcastStatus = FrameKind(rawValue: 0x0135)
  public static let cancelDelayed = FrameKind(rawValue: 0x0136)
  public static let delayedCancelled = FrameKind(rawValue: 0x0137)
  public static let readTopic = FrameKind(rawValue: 0x0138)
  public static let topicPage = FrameKind(rawValue: 0x0139)
  public static let membershipsQuery = FrameKind(rawValue: 0x013A)
  public static let memberships = FrameKind(rawValue: 0x013B)
  public static let lease = FrameKind(rawValue: 0x0140)
  public static let leaseLost = FrameKind(rawValue: 0x0141)
  public static let latestSeen = FrameKind(rawValue: 0x0142)
  public static let latestAt = FrameKind(rawValue: 0x0143)
  public static let leave = FrameKind(rawValue: 0x0144)

  // 0x018x: plugins and scheduler.
  public static let follow = FrameKind(rawValue: 0x0180)
  public static let following = FrameKind(rawValue: 0x0181)
  public static let readFollowed = FrameKind(rawValue: 0x0182)
  public static let followedPage = FrameKind(rawValue: 0x0183)
  public static let acknowledgeFollowed = FrameKind(rawValue: 0x0184)
  public static let followedGrew = FrameKind(rawValue: 0x0185)
  public static let followedErased = FrameKind(rawValue: 0x0186)

  // 0x02xx: gateway and presence.
  public static let sessions = FrameKind(rawValue: 0x0201)
  public static let sessionsEnd = FrameKind(rawValue: 0x0202)
  public static let sessionsClosed = FrameKind(rawValue: 0x0203)
  public static let presenceQuery = FrameKind(rawValue: 0x0204)
  public static let presenceAnswer = FrameKind(rawValue: 0x0205)
  public static let sessionsSeen = FrameKind(rawValue: 0x0206)
  public static let setPresence = FrameKind(rawValue: 0x0207)
  public static let presenceSet = FrameKind(rawValue: 0x0208)
  public static let watchPresence = FrameKind(rawValue: 0x0209)
  public static let unwatchPresence = FrameKind(rawValue: 0x020A)
  public static let presenceUnwatched = FrameKind(rawValue: 0x020B)
  public static let presenceChanged = FrameKind(rawValue: 0x020C)
  public static let setTyping = FrameKind(rawValue: 0x020D)
  public static let typingChanged = FrameKind(rawValue: 0x020E)
  public static let typingEnded = FrameKind(rawValue: 0x020F)
  public static let onlineUsersQuery = FrameKind(rawValue: 0x0210)
  public static let onlineUsers = FrameKind(rawValue: 0x0211)
  public static let connectionsQuery = FrameKind(rawValue: 0x0212)
  public static let connectionList = FrameKind(rawValue: 0x0213)
  public static let describeSessions = FrameKind(rawValue: 0x0214)
  public static let sessionsDescribed = FrameKind(rawValue: 0x0215)
  public static let disconnect = FrameKind(rawValue: 0x0216)
  public static let disconnected = FrameKind(rawValue: 0x0217)
  public static let endSessions = FrameKind(rawValue: 0x0218)
  public static let connectionOwnerQuery = FrameKind(rawValue: 0x0219)
  public static let connectionOwner = FrameKind(rawValue: 0x021A)
  // Numbered among the log's: an erasure is both workers'.
  public static let erasePresence = FrameKind(rawValue: 0x0150)
  public static let presenceErased = FrameKind(rawValue: 0x0151)

  public static let pluginRange: ClosedRange<UInt16> = 0x8000...0xFFFF
}

/// A peer broke the wire.
public enum WireError: Error, Equatable, Sendable {
  case truncated
  case trailingBytes(Int)
  case frameTooLarge(Int)
  case malformed(String)
  case unexpectedKind(UInt16)
}

/// The bounds of the links.
public enum WireLimits {
  /// A broadcast names 1 000 recipients of 130 bytes beside 64 KiB of payload; a page of a replay is cut below this.
  public static let frameBodyBytesMax = 1 << 20
  /// Entries in one batch (watches, acknowledgements, sessions): a batch stays well below a frame's bound.
  public static let batchEntriesMax = 4096
}
