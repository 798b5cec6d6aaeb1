import AvaloCore
import AvaloReactor
import AvaloWire
import NIOCore

/// What other threads tell a hub. One mailbox a loop; everything of the scheduler's arrives through it in order.
enum HubMail: Sendable {
  /// Whole frames from the scheduler that concern this loop.
  case scheduler(ByteBuffer)
  /// A new link has told the state of access, and takes what the hub has to say.
  case schedulerUp(link: UInt32)
  case schedulerDown
  /// A step of the access log: in force here when the hub says so to its port.
  case access(AccessChanged)
  /// A new link to the presence worker: it wants to know every session.
  case presenceUp
  case presenceDown
  /// Whole frames from the presence worker, of which some may concern this loop.
  case presence(ByteBuffer)
  /// A connection that parked owes nothing any more.
  case drained(ConnectionID)
  /// The answer to a request of this hub's services.
  case service(id: UInt32, Result<ServiceAnswer, CallError>)
  /// Answered at once: the loop turns.
  case probe(Heard)
  /// New rules from a reload.
  case policy(GatewayPolicy)
  /// Answered at once, on the loop: where these subscriptions stand.
  case trace(TraceQuery, reply: @Sendable ([TracedConnection]) -> Void)
  /// Send everybody away, spread over so many seconds.
  case drain(DrainSchedule)
}

/// What a hub needs of the rest of the gateway. Implementations only post to another thread.
protocol HubPort: Sendable {
  /// Frames for the scheduler, in order after all earlier ones of this hub; dropped when `link` is not the present one.
  func toScheduler(_ frames: [UInt8], link: UInt32)
  /// A step of the access log that came on `link` is in force in the loop.
  func accessApplied(_ position: UInt64, loop: UInt8, link: UInt32)
  /// The scheduler sent what is not of our wire: cut the link, and begin again.
  func breakSchedulerLink(reason: String)
  /// Frames for the presence worker. `snapshotEnds` marks the last of the answer to ``HubMail/presenceUp``.
  func toPresence(_ frames: [UInt8], snapshotEnds: Bool)
  /// The presence worker sent what is not of our wire: cut the link, and begin again.
  func breakPresenceLink(reason: String)
  /// Asks a worker, and mails the answer back to `loop` as `id`.
  func request(_ request: ServiceRequest, loop: UInt8, id: UInt32)
}
