import AvaloCore
import AvaloReactor
import AvaloWire

/// One live connection of one authenticated device, from its 101 to its close.
///
/// Owned by its hub, confined to its loop. What it is subscribed to lies in the hub's slab, linked from
/// `firstSubscription`. It never writes by itself: the hub does. There is one for each connection, so what is seldom looked
/// at is packed, and what is needed only until `ready` goes then.
final class Session {
  enum Stage: UInt8 {
    /// The handshake is done; nobody knows yet who this is.
    case awaitingConnect
    /// The token is good; the scheduler registers the device.
    case attaching
    /// Registered: `ready` was sent.
    case ready
    /// A close frame was queued.
    case closing
  }

  /// What was said on the way in and is to be told on.
  final class Entry {
    /// The ticket it was opened with.
    let ticket: String
    /// What was asked for and refused.
    var denied: [AccessRules.Grant.Denial] = []
    /// What its user has not read, and who has read what.
    var reads: ReadState?

    init(ticket: String) { self.ticket = ticket }
  }

  let connection: ConnectionID
  /// Unique in this gateway's incarnation; its high byte is the loop's number.
  let number: UInt64
  let openedMilliseconds: Int64
  /// The token's; 0 while there is none.
  private(set) var expiresAtMilliseconds: Int64 = 0
  private var issuedAtMilliseconds: Int64 = 0
  /// User, token's id, device, connection's id, then the chats; empty until a token was verified.
  private var texts = PackedTexts()
  /// Until `ready`.
  var entry: Entry?
  var stage = Stage.awaitingConnect
  private(set) var platform = Platform.unknown
  /// The client named its device, whose cursors it moves; otherwise its own are gone with it.
  var isDevice = true
  /// Counted among its user's connections, and so known to the other workers.
  var isCounted = false
  /// Whether others may see that this user is here: `realtime_presence` when it connected.
  var isPresent = true
  /// It waits for the membership webhook's word.
  var asksMembership = false
  /// Its user did something since the last report to the presence worker.
  var isActive = false
  /// Calls left in this second's allowance.
  var callAllowance: UInt16
  var subscriptionCount: UInt16 = 0
  var firstSubscription = Subscription.none
  /// Monotonic seconds when the stage began.
  private(set) var stageSeconds: UInt32
  /// The slots of its user's other connections here; see `Hub+Users.swift`.
  var nextOfUser = Session.none
  var previousOfUser = Session.none
  /// Of the first of its user's connections: how many there are.
  var countOfUser: UInt32 = 0

  static let none = UInt32.max

  init(connection: ConnectionID, number: UInt64, nowSeconds: UInt32, openedMilliseconds: Int64) {
    self.connection = connection
    self.number = number
    stageSeconds = nowSeconds
    callAllowance = UInt16(HubLimits.callsPerSecondMax)
    self.openedMilliseconds = openedMilliseconds
  }

  /// Takes so many frames off this second's allowance.
  func charge(_ frames: UInt16) { callAllowance -= min(callAllowance, frames) }

  func enter(_ stage: Stage, nowSeconds: UInt32) {
    self.stage = stage
    stageSeconds = nowSeconds
  }

  // MARK: - Who this is

  private enum Text: Int {
    case user, tokenID, device, connectionID
    static let count = 4
  }

  /// What its token says; `nil` until one was verified. Made anew for each who asks.
  var identity: Identity? {
    guard !texts.isEmpty else { return nil }
    return Identity(
      user: user, tokenID: text(.tokenID), issuedAtMilliseconds: issuedAtMilliseconds,
      expiresAtMilliseconds: expiresAtMilliseconds, chats: chats)
  }

  var user: String { text(.user) }
  var device: String { text(.device) }
  var connectionID: String { text(.connectionID) }

  /// The user's id, where it lies.
  func withUser<Answer>(_ body: (UnsafeRawBufferPointer) -> Answer) -> Answer {
    body(texts.utf8(Text.user.rawValue))
  }

  /// A token was verified: the first, or one that takes the place of another.
  func identify(_ identity: Identity) {
    keep(identity, device: device, connectionID: connectionID)
  }

  /// It says which device and connection of its user it is.
  func introduce(_ identity: Identity, platform: Platform, device: String, connectionID: String) {
    self.platform = platform
    keep(identity, device: device, connectionID: connectionID)
  }

  private func keep(_ identity: Identity, device: String, connectionID: String) {
    expiresAtMilliseconds = identity.expiresAtMilliseconds
    issuedAtMilliseconds = identity.issuedAtMilliseconds
    texts = PackedTexts([identity.user, identity.tokenID, device, connectionID] + identity.chats)
  }

  private var chats: [String] {
    let count = texts.count
    return count > Text.count ? (Text.count..<count).map { texts[$0] } : []
  }

  private func text(_ text: Text) -> String { texts[text.rawValue] }
}
