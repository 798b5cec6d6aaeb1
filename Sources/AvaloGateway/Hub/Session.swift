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
    /// The ticket that it spends; empty without one.
    let ticket: String
    /// How a stream's request is answered; `nil` where that has been done.
    let answer: StreamAnswer?
    /// What was asked for and refused.
    var denied: [AccessRules.Grant.Denial] = []
    /// What its user has not read, and who has read what.
    var reads: ReadState?
    /// That was asked for and is not answered yet: `ready` says it.
    var awaitsReads = false
    /// Receipts that came meanwhile.
    var receipts: [Receipt] = []
    /// The scheduler has registered it, and these begin with `ready`.
    var registered: [Joiner]?

    struct Receipt {
      /// By which it concerns the session, and of which topic that was.
      var subscription: UInt32
      var topic: UInt32
      var version: UInt64
      var frame: [UInt8]
    }

    init(ticket: String = "", answer: StreamAnswer? = nil) {
      self.ticket = ticket
      self.answer = answer
    }
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
  private var marks: Marks = [.device, .present]
  /// Calls left in this second's allowance.
  var callAllowance: UInt16
  var subscriptionCount: UInt16 = 0
  /// Frames of acknowledgements left in this second's allowance.
  var ackAllowance = HubLimits.acknowledgementsPerSecondMax
  var firstSubscription = Subscription.none
  /// Monotonic seconds when the stage began.
  private(set) var stageSeconds: UInt32
  /// The slots of its user's other connections here; see `Hub+Users.swift`.
  var nextOfUser = Session.none
  var previousOfUser = Session.none
  /// Of the first of its user's connections: how many there are.
  var countOfUser: UInt32 = 0

  static let none = UInt32.max

  /// What is true or not of it, in one byte.
  private struct Marks: OptionSet {
    let rawValue: UInt8
    static let device = Marks(rawValue: 1 << 0)
    static let counted = Marks(rawValue: 1 << 1)
    static let present = Marks(rawValue: 1 << 2)
    static let owesPosition = Marks(rawValue: 1 << 3)
    static let warned = Marks(rawValue: 1 << 4)
    static let asksMembership = Marks(rawValue: 1 << 5)
    static let active = Marks(rawValue: 1 << 6)
    static let fault = Marks(rawValue: 1 << 7)
  }

  init(connection: ConnectionID, number: UInt64, nowSeconds: UInt32, openedMilliseconds: Int64) {
    self.connection = connection
    self.number = number
    stageSeconds = nowSeconds
    callAllowance = HubLimits.callsPerSecondMax
    self.openedMilliseconds = openedMilliseconds
  }

  // MARK: - What is true of it

  /// The client named its device, whose cursors it moves; otherwise its own are gone with it.
  var isDevice: Bool {
    get { marks.contains(.device) }
    set { mark(.device, newValue) }
  }
  /// Counted among its user's connections, and so known to the other workers.
  var isCounted: Bool {
    get { marks.contains(.counted) }
    set { mark(.counted, newValue) }
  }
  /// Whether others may see that this user is here: `realtime_presence` when it connected.
  var isPresent: Bool {
    get { marks.contains(.present) }
    set { mark(.present, newValue) }
  }
  /// Is told where it stands at this turn's end.
  var owesPosition: Bool {
    get { marks.contains(.owesPosition) }
    set { mark(.owesPosition, newValue) }
  }
  /// Was told that its token ends soon.
  var isWarned: Bool {
    get { marks.contains(.warned) }
    set { mark(.warned, newValue) }
  }

  /// It waits for the membership webhook's word.
  var asksMembership: Bool {
    get { marks.contains(.asksMembership) }
    set { mark(.asksMembership, newValue) }
  }

  /// Its user did something since the last report to the presence worker.
  var isActive: Bool {
    get { marks.contains(.active) }
    set { mark(.active, newValue) }
  }

  /// It is closing because it cannot be served.
  var isFault: Bool {
    get { marks.contains(.fault) }
    set { mark(.fault, newValue) }
  }

  private func mark(_ mark: Marks, _ isSet: Bool) {
    if isSet { marks.insert(mark) } else { marks.remove(mark) }
  }

  // MARK: - What it may still do

  /// A new second: as much is allowed as ever.
  func renewAllowances() {
    callAllowance = HubLimits.callsPerSecondMax
    ackAllowance = HubLimits.acknowledgementsPerSecondMax
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

  /// The token, as it can be revoked; `nil` until one was verified.
  var token: TokenName? {
    guard !texts.isEmpty else { return nil }
    return TokenName(user: user, tokenID: text(.tokenID), issuedAtMilliseconds: issuedAtMilliseconds)
  }

  /// The user's id, where it lies.
  func withUser<Answer>(_ body: (UnsafeRawBufferPointer) -> Answer) -> Answer {
    body(texts.utf8(Text.user.rawValue))
  }

  /// Its token's id, where it lies; empty without one.
  func withTokenID<Answer>(_ body: (UnsafeRawBufferPointer) -> Answer) -> Answer {
    body(texts.utf8(Text.tokenID.rawValue))
  }

  /// Notes what `ready` is to say was refused.
  func deny(_ denied: [AccessRules.Grant.Denial]) {
    guard !denied.isEmpty else { return }
    if entry == nil { entry = Entry() }
    entry?.denied += denied
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
    isWarned = false
    issuedAtMilliseconds = identity.issuedAtMilliseconds
    texts = PackedTexts([identity.user, identity.tokenID, device, connectionID] + identity.chats)
  }

  private var chats: [String] {
    let count = texts.count
    return count > Text.count ? (Text.count..<count).map { texts[$0] } : []
  }

  private func text(_ text: Text) -> String { texts[text.rawValue] }
}
