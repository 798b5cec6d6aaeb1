import AvaloCore
import AvaloWire
import Synchronization

/// Names one link for as long as this process lives.
public struct LinkID: Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// How much is on its way to one gateway. The engine and the reader add what they hand out, the link's loop says what has
/// come through.
public final class LinkGauge: Sendable {
  private let handedOut = Atomic(0)
  private let waiting = Atomic(0)
  private let ended = Atomic(false)

  public init() {}

  /// Bytes that were handed out and are not in the kernel yet.
  public var backlogBytes: Int {
    handedOut.load(ordering: .relaxed) + waiting.load(ordering: .relaxed)
  }
  /// The link is gone: what is for it is for nobody.
  public var hasEnded: Bool { ended.load(ordering: .relaxed) }

  /// Frames are handed out.
  func add(_ bytes: Int) { handedOut.wrappingAdd(bytes, ordering: .relaxed) }
  /// The loop gave frames to the link, in which `waiting` bytes wait now.
  public func sent(_ bytes: Int, waiting: Int) {
    self.waiting.store(waiting, ordering: .relaxed)
    handedOut.wrappingSubtract(bytes, ordering: .relaxed)
  }
  /// The loop saw how much waits.
  public func waits(_ bytes: Int) { waiting.store(bytes, ordering: .relaxed) }
  public func end() { ended.store(true, ordering: .relaxed) }
}

/// A gateway's link, or a plugin's, as the engine sees it.
final class LinkState {
  let id: LinkID
  let place: Int32
  let instance: String
  let incarnation: UInt64
  /// Has sessions, and so is told who may do what.
  let isGateway: Bool
  let gauge: LinkGauge
  /// Whom it follows the log as, and which types.
  var follower: String?
  var follows: EventTypes = []
  /// The gateway's handle of each topic it watches.
  var handles: [UInt32: Int32] = [:]
  /// Its sessions, by its numbers.
  var sessions: [UInt64: Int32] = [:]
  /// Was told the state of access, and hears of each change.
  var isToldAccess = false
  /// What this turn sends.
  var out = WireWriter()
  /// Gets no Delivers until it has drained.
  var isStuck = false
  /// Handles that missed Delivers, or whose topics began a new epoch.
  var lagging: Set<UInt32> = []
  /// Receipts it did not get because it was stuck, by whose they are of which chat.
  private(set) var missedReceipts: [String: SchedulerCore.Receipt] = [:]
  /// Targets of the event that is being delivered.
  var targets: [Deliver.Target] = []

  /// Beyond the bound the rest is not told: who subscribes anew hears where everybody stands.
  func miss(_ receipt: SchedulerCore.Receipt) {
    guard missedReceipts[receipt.key] != nil || missedReceipts.count < SchedulerLimits.missedReceiptsMax else { return }
    missedReceipts[receipt.key] = receipt
  }

  func takeMissedReceipts() -> [SchedulerCore.Receipt] {
    defer { missedReceipts.removeAll() }
    return missedReceipts.values.sorted { $0.version < $1.version }
  }

  init(id: LinkID, place: Int32, instance: String, incarnation: UInt64, isGateway: Bool, gauge: LinkGauge) {
    self.id = id
    self.place = place
    self.instance = instance
    self.incarnation = incarnation
    self.isGateway = isGateway
    self.gauge = gauge
  }
}
