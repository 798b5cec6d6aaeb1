import AvaloCore
import AvaloSystem
import AvaloWire

/// What the callables ask of the workers behind. One for each loop, used on it alone: the completion is called on the
/// same loop, once, before or after the call returns, and whatever happens to the link.
public protocol Services: AnyObject {
  /// UNAVAILABLE means that it is not known whether the event was kept.
  func publish(_ publish: Publish, completion: @escaping (Result<Published, CallError>) -> Void)
  func broadcast(_ broadcast: Broadcast, completion: @escaping (Result<Broadcasted, CallError>) -> Void)
  /// Asks the scheduler. A change that is answered UNAVAILABLE may have been made or not.
  func ask<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void)
  /// Asks the presence worker.
  func presence<Request: WireRequest>(
    _ request: Request, completion: @escaping (Result<Request.Answer, CallError>) -> Void)
  /// Tells the presence worker; UNAVAILABLE when it is not there to hear it.
  func typing(_ typing: SetTyping, completion: @escaping (Result<Void, CallError>) -> Void)
  /// Called when the webhook has decided, or could not.
  func membership(_ webhook: MembershipWebhook, _ user: String, _ topics: [Topic], completion: @escaping () -> Void)
}

/// Told of every call, on the loop that served it.
public protocol CallObserver: AnyObject {
  /// - `error`: `nil` when the call succeeded.
  func called(_ name: StaticString, _ error: CallError?, took: Duration)
  /// A limit that was met outside a call.
  func refused(_ limit: CallLimit)
}

/// What calls need, of one loop. Confined to it, but for the parts that all loops share.
public final class CallContext {
  let services: any Services
  let access: SharedAccess
  let admission: Admission
  let wall: WallClock
  let monotonic: MonotonicClock
  var random: any RandomNumberGenerator
  var eventIDs = EventIDs()
  let observer: (any CallObserver)?
  /// Where polls are held; `nil` on loops that speak no HTTP.
  var polls: (any Polls)?

  /// - `access`, `admission`: those of the process.
  public init(
    services: any Services, access: SharedAccess, admission: Admission, wall: WallClock = .system,
    monotonic: MonotonicClock = .system, random: any RandomNumberGenerator = SystemRandomNumberGenerator(),
    observer: (any CallObserver)? = nil
  ) {
    self.services = services
    self.access = access
    self.admission = admission
    self.wall = wall
    self.monotonic = monotonic
    self.random = random
    self.observer = observer
  }

  func newEventID() -> String { eventIDs.next("evt_", now: wall.milliseconds, using: &random) }
  func newConnectionID() -> String { eventIDs.next("conn_", now: wall.milliseconds, using: &random) }

  /// Servers have limits of their own, in what they publish.
  func admit(_ caller: Caller, to callable: any Callable.Type) throws(CallError) {
    guard case .user(let identity) = caller else { return }
    try admission.take(
      callable, of: identity.user, perSecond: access.current.settings.limits.callsPerSecond, now: monotonic.now)
  }

  func observed(_ name: StaticString, _ reply: @escaping CallReply) -> CallReply {
    guard let observer else { return reply }
    let started = monotonic.now
    return { [monotonic] result in
      let error: CallError? = if case .failure(let error) = result { error } else { nil }
      observer.called(name, error, took: monotonic.now - started)
      reply(result)
    }
  }
}
