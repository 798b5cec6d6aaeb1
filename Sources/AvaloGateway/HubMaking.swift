import AvaloReactor
import AvaloSystem
import Logging

/// What every hub is made from, for whichever loop.
struct HubMaking: Sendable {
  let port: any HubPort
  let access: SharedAccess
  let metrics: GatewayMetrics
  let admission: Admission
  let clock: WallClock
  let log: Logger
  var journal: DeliveryJournal?
  /// Of all loops.
  let membershipPace = MembershipPace()

  /// On the loop's own thread.
  func hub(
    loop: UInt8, _ writer: ConnectionWriter, _ mailbox: Mailbox<HubMail>, _ face: Face = .webSocket, transport: String
  ) -> Hub {
    let services = HubServices(port: port, loop: loop)
    return Hub(
      loop: loop, face: face, writer: writer, mailbox: mailbox, port: port, services: services,
      calls: calls(services: services, observer: CallMetrics(metrics)), policy: GatewayPolicy(access.current),
      metrics: HubMetrics(metrics, transport: transport), clock: clock, log: log,
      journal: journal, membershipPace: membershipPace)
  }

  /// What the calls of one loop need.
  func calls(services: any Services, observer: any CallObserver) -> CallContext {
    CallContext(services: services, access: access, admission: admission, wall: clock, observer: observer)
  }
}
