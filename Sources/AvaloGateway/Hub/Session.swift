import AvaloCore
import AvaloReactor

/// One live connection of one authenticated device, from its 101 to its close.
///
/// Owned by its hub, confined to its loop. What it is subscribed to lies in the hub's slab, linked from
/// `firstSubscription`. It never writes by itself: the hub does.
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

  let connection: ConnectionID
  /// Unique in this gateway's incarnation; its high byte is the loop's number.
  let number: UInt64
  var stage = Stage.awaitingConnect
  var platform = Platform.unknown
  /// Counted among its user's connections, and so known to the other workers.
  var isCounted = false
  /// Whether others may see that this user is here: `realtime_presence` when it connected.
  var isPresent = true
  /// Calls left in this second's allowance.
  var callAllowance: UInt16
  var subscriptionCount: UInt16 = 0
  var firstSubscription = Subscription.none
  /// Monotonic seconds when the stage began.
  var stageSeconds: UInt32
  let openedMilliseconds: Int64
  var identity: Identity?
  var device = ""
  var connectionID = ""
  /// The ticket it was opened with, until it is spent.
  var ticket = ""
  /// What was asked for and refused, until `ready` has said so.
  var denied: [AccessRules.Grant.Denial] = []

  init(connection: ConnectionID, number: UInt64, nowSeconds: UInt32, openedMilliseconds: Int64) {
    self.connection = connection
    self.number = number
    stageSeconds = nowSeconds
    callAllowance = UInt16(HubLimits.callsPerSecondMax)
    self.openedMilliseconds = openedMilliseconds
  }

  func enter(_ stage: Stage, nowSeconds: UInt32) {
    self.stage = stage
    stageSeconds = nowSeconds
  }
}
