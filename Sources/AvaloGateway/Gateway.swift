import AvaloCore
import AvaloLink
import AvaloReactor
import AvaloSystem
import AvaloWeb
import AvaloWire
import AvaloWorker
import Logging
import NIOCore

/// The edge worker: clients on one side, the scheduler and presence on the other.
///
/// Two threads. The reactor carries plain WebSockets (loop 1). NIO's loop accepts, speaks HTTP, holds the links, and carries
/// WebSockets over TLS (loop 2), event streams (loop 3), streamed calls (loop 4) and polls (loop 5). Each of these loops has a hub of its
/// own; everything between them is mail.
public final class Gateway: Worker {
  private let context: WorkerContext
  private let access: SharedAccess
  private let metrics: GatewayMetrics
  private let health: Health
  private let tls: TLSContext?
  private let web: WebClient
  private let issuers: RemoteKeyRing
  private let webhooks: MembershipWebhooks
  private let hubs: [Mailbox<HubMail>]
  private let reactor: ReactorHandle
  private let transports: NIOTransports
  private let streams: NIOLoopBound<HTTPService.Streams>
  private let links: NIOLoopBound<WorkerLinks>
  private let listeners: [any Channel]
  private let http: NIOLoopBound<HTTPService>
  /// Connections that are on NIO.
  private let open: OpenCount

  private init(
    context: WorkerContext, access: SharedAccess, metrics: GatewayMetrics, health: Health, tls: TLSContext?,
    web: WebClient, issuers: RemoteKeyRing, webhooks: MembershipWebhooks, hubs: [Mailbox<HubMail>],
    reactor: ReactorHandle, transports: NIOTransports, streams: NIOLoopBound<HTTPService.Streams>,
    links: NIOLoopBound<WorkerLinks>, listeners: [any Channel], http: NIOLoopBound<HTTPService>, open: OpenCount
  ) {
    self.context = context
    self.access = access
    self.metrics = metrics
    self.health = health
    self.tls = tls
    self.web = web
    self.issuers = issuers
    self.webhooks = webhooks
    self.hubs = hubs
    self.reactor = reactor
    self.transports = transports
    self.streams = streams
    self.links = links
    self.listeners = listeners
    self.http = http
    self.open = open
  }

  public static func readSettings(_ reader: inout SettingsReader) -> GatewaySettings { GatewaySettings(&reader) }

  /// The files that the settings name: keys, certificates.
  public static func check(_ settings: GatewaySettings) async -> [SettingsProblem] {
    let revocations = Revocations(clock: .system)
    var problems = await Access.load(settings, stateDirectory: nil, revocations: revocations).problems
    if let files = settings.tls {
      do throws(SettingsProblem) {
        _ = try TLSContext(files)
      } catch {
        problems.append(error)
      }
    }
    return problems
  }

  // MARK: - Start

  public static func start(_ context: WorkerContext, _ settings: GatewaySettings) async throws -> Gateway {
    let web = WebClient(context.group)
    let issuers = RemoteKeyRing(
      stateDirectory: context.stateDirectory, web: web, eventLoop: context.eventLoop, clock: context.monotonicClock,
      wall: context.wallClock, registry: context.metrics, log: context.log)
    let webhooks = MembershipWebhooks(
      web: web, clock: context.monotonicClock, wall: context.wallClock, registry: context.metrics, log: context.log)
    let revocations = Revocations(clock: context.monotonicClock)
    let access = SharedAccess(try await load(settings, revocations, context, issuers, webhooks))
    let tls = try settings.tls.map { try TLSContext($0) }
    let metrics = GatewayMetrics(context.metrics)
    metrics.certificateExpiry.set(Double(tls?.expirySeconds ?? 0))
    let addresses = AddressBudget(connectionsPerAddressMax: settings.connections.perAddress)
    let descriptors = DescriptorBudget.current()
    var loops = LoopSettings(settings)
    loops.connectionsMax = min(loops.connectionsMax, descriptors.webSocketsMax)
    context.log.info(
      "room for connections",
      metadata: ["websockets": "\(loops.connectionsMax)", "with_calls": "\(descriptors.connectionsMax)"])

    let links = try await context.eventLoop.submit {
      NIOLoopBound(WorkerLinks(context, revocations, metrics), eventLoop: context.eventLoop)
    }
    .get()
    var journal: DeliveryJournal?
    if settings.traceBytesMax > 0 {
      journal = DeliveryJournal(
        path: "\(context.stateDirectory)/trace-\(context.instance).jsonl", dropped: metrics.traceDropped,
        segmentBytesMax: max(1, settings.traceBytesMax / 2))
    }
    let making = HubMaking(
      port: GatewayPort(links, on: context.eventLoop), access: access, metrics: metrics, admission: Admission(),
      clock: context.wallClock, log: context.log, journal: journal)
    let (reactor, plainHub) = try await startReactor(loops, addresses, making)
    let (transports, secureHub) = try await startTransports(context, loops, addresses, making)
    let streams = try await context.eventLoop.submit { [loops] in
      NIOLoopBound(
        try HTTPService.Streams(on: context.eventLoop, settings: loops, addresses: addresses, making: making),
        eventLoop: context.eventLoop)
    }.get()
    let streamHubs = try await context.eventLoop.submit { streams.value.mailboxes }.get()
    let hubs = [plainHub, secureHub] + streamHubs

    let health = Health()
    let http = try await context.eventLoop.submit {
      NIOLoopBound(
        HTTPService(
          calls: making.calls(services: links.value, observer: CallMetrics(metrics)), health: health,
          streams: streams.value),
        eventLoop: context.eventLoop)
    }.get()
    var door = FrontDoor(
      policy: UpgradePolicy(access: access).decide,
      http: { try http.value.serve($0, secure: false, handshake: $1) }, reactors: [reactor], transports: transports,
      addresses: addresses, observe: { metrics.observe($0) })
    door.connectionsMax = descriptors.connectionsMax
    door.acceptedAddress = { access.current.proxies.contains($0) ? nil : AddressRange.household(of: $0) }
    door.countedAddress = {
      AddressRange.household(
        of: access.current.proxies.client(behind: $0.peerAddress, forwardedFor: $0.forwardedFor))
    }
    door.headersOf = {
      let current = access.current
      return current.settings.proxies.hasProxyProtocol ? current.proxies : nil
    }
    door.corsHeaders = { access.current.cors.headers(toRefusalOf: $0) }
    let listeners = try await listen(context, door, http, tls)
    try await context.eventLoop.submit { links.value.start(context, hubs) }.get()
    ControlRoutes(access: access, http: http, eventLoop: context.eventLoop).add(to: context.routes)
    TraceRoute(instance: context.instance, hubs: hubs, journal: journal).add(to: context.routes)
    context.liveness.add("reactor", plainHub)
    show(settings.flags, context, metrics)
    return Gateway(
      context: context, access: access, metrics: metrics, health: health, tls: tls, web: web, issuers: issuers,
      webhooks: webhooks, hubs: hubs, reactor: reactor, transports: transports, streams: streams, links: links,
      listeners: listeners, http: http, open: door.open)
  }

  private static func show(_ flags: FeatureFlags, _ context: WorkerContext, _ metrics: GatewayMetrics) {
    metrics.show(flags)
    context.setStatus(flags.sentence)
    context.log.notice("features", metadata: ["flags": "\(flags.sentence)"])
  }

  private static func load(
    _ settings: GatewaySettings, _ revocations: Revocations, _ context: WorkerContext, _ issuers: RemoteKeyRing,
    _ webhooks: MembershipWebhooks
  ) async throws -> Access {
    let (access, problems) = await Access.load(
      settings, stateDirectory: context.stateDirectory, revocations: revocations,
      remotes: { issuers.keys(for: $0) }, membership: { webhooks.webhook($0, secret: $1) })
    guard let access else {
      throw WorkerError(problems.map { "\($0.path): \($0.message)" }.joined(separator: "; "))
    }
    return access
  }

  private static func startReactor(
    _ settings: LoopSettings, _ addresses: AddressBudget, _ making: HubMaking
  ) async throws -> (ReactorHandle, Mailbox<HubMail>) {
    // The hub is made on the reactor's own thread; what others need of it is its mailbox.
    let (mailboxes, made) = AsyncStream.makeStream(of: Mailbox<HubMail>.self)
    let reactor = try Reactor.start(name: "reactor", settings: settings, addresses: addresses) { reactor in
      let mailbox = Mailbox<HubMail>(reactor.waker)
      made.yield(mailbox)
      return making.hub(loop: 1, reactor.writer, mailbox, transport: "websocket")
    }
    for await mailbox in mailboxes { return (reactor, mailbox) }
    throw WorkerError("the reactor's thread ended before it began")
  }

  private static func startTransports(
    _ context: WorkerContext, _ settings: LoopSettings, _ addresses: AddressBudget, _ making: HubMaking
  ) async throws -> (NIOTransports, Mailbox<HubMail>) {
    let (mailboxes, made) = AsyncStream.makeStream(of: Mailbox<HubMail>.self)
    let transports = try await NIOTransports.start(
      on: context.group, settings: settings, addresses: addresses
    ) { transport in
      let mailbox = Mailbox<HubMail>(transport.waker)
      made.yield(mailbox)
      return making.hub(loop: 2, transport.writer, mailbox, transport: "websocket_tls")
    }
    for await mailbox in mailboxes { return (transports, mailbox) }
    throw WorkerError("NIO has no loop")
  }

  private static func listen(
    _ context: WorkerContext, _ door: FrontDoor, _ http: NIOLoopBound<HTTPService>, _ tls: TLSContext?
  ) async throws -> [any Channel] {
    var listeners: [any Channel] = []
    for descriptor in context.sockets["client"] ?? [] {
      listeners.append(try await ListenerBootstrap.listen(inherited: descriptor, on: context.group, door: door))
    }
    let secure = context.sockets["client-tls"] ?? []
    guard !secure.isEmpty else { return listeners }
    guard let tls else {
      throw WorkerError("there is a socket client-tls, and no tls: {certificate, key} in the settings to serve it with")
    }
    var secureDoor = door
    secureDoor.http = { try http.value.serve($0, secure: true, handshake: $1) }
    for descriptor in secure {
      listeners.append(
        try await ListenerBootstrap.listen(inherited: descriptor, on: context.group, door: secureDoor, tls: tls))
    }
    return listeners
  }

  // MARK: - Reload

  /// New keys, rules and certificates; what was built with the old ones goes on.
  public func reload(_ settings: GatewaySettings) async throws {
    let new = try await Gateway.load(settings, access.current.revocations, context, issuers, webhooks)
    if let tls, let files = settings.tls {
      try tls.reload(files)
      metrics.certificateExpiry.set(Double(tls.expirySeconds))
    }
    let flags = access.current.flags
    access.replace(with: new)
    if new.flags != flags { Gateway.show(new.flags, context, metrics) }
    for hub in hubs { hub.post(.policy(GatewayPolicy(new))) }
  }

  // MARK: - Drain

  /// Accepts nothing more, sends everybody away over the time there is, and waits for what is in flight.
  public func drain(until deadline: MonotonicInstant) async {
    health.drain()
    for listener in listeners {
      // It is closed already when this fails, which is what is wanted.
      try? await listener.close().get()
    }
    let schedule = DrainSchedule(
      perSecond: Double(access.current.settings.drain.reconnectsPerSecond) * GatewayLimits.reconnectShare
        / Double(context.draining()),
      until: deadline + (.zero - GatewayLimits.drainReserve), clock: context.monotonicClock)
    for hub in hubs { hub.post(.drain(schedule)) }
    let accepted = context.monotonicClock.now + GatewayLimits.drainLinger
    while context.monotonicClock.now < deadline, await !isEmpty(untilThen: accepted) {
      try? await Task.sleep(for: .milliseconds(20))
    }
    reactor.stop()
    await stopOnLoop()
  }

  /// - `accepted`: until then a connection that was accepted last and has not said yet what it wants counts, too.
  private func isEmpty(untilThen accepted: MonotonicInstant) async -> Bool {
    guard reactor.connectionCount == 0 else { return false }
    let lingers = context.monotonicClock.now < accepted
    let waiting = try? await context.eventLoop.submit {
      self.links.value.scheduler.unanswered + self.streams.value.connectionCount
        + (self.transports.transport(on: self.context.eventLoop)?.connectionCount ?? 0)
        + (lingers ? self.open.value - self.http.value.idleCount : 0)
    }.get()
    return waiting == 0
  }

  private func stopOnLoop() async {
    issuers.stop()
    await web.stop()
    try? await transports.stop()
    try? await context.eventLoop.submit { self.streams.value.stop() }.get()
    try? await context.eventLoop.submit { self.links.value.stop() }.get()
  }
}

extension LoopSettings {
  /// What the operator said of connections.
  init(_ settings: GatewaySettings) {
    self.init()
    connectionsMax = settings.connections.max
    messageBytesMax = settings.limits.messageBytesMax
    pingIntervalSeconds = UInt32(settings.pingInterval.milliseconds / 1000)
    pingGraceSeconds = UInt32(settings.grace.milliseconds / 1000)
    stallSecondsMax = UInt32(max(1, settings.outbox.stallMax.milliseconds / 1000))
    // A hub parks at the setting; beyond it lies what one turn may add.
    outboxBytesMax = max(outboxBytesMax, settings.outbox.bytesMax * 4)
  }
}
