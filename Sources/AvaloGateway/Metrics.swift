import AvaloCore
import AvaloMetrics
import AvaloReactor

/// Everything the gateway measures, declared here and nowhere else. Each series exists at 0 from the start.
struct GatewayMetrics: Sendable {
  // Connections
  let connections: GaugeFamily
  let attempts: CounterFamily
  let closes: CounterFamily
  let ends: CounterFamily
  let resumes: CounterFamily
  let certificateExpiry: Gauge
  let subscriptions: Gauge
  let badFrames: Counter
  let featureRollout: GaugeFamily

  // Events
  let published: CounterFamily
  let delivered: CounterFamily
  let deliverySeconds: HistogramFamily
  let ackSeconds: Histogram
  let acknowledged: Counter
  let gaps: CounterFamily
  let missed: CounterFamily
  let undeliveredSeconds: GaugeFamily
  let reads: Counter
  let parked: Counter
  let presenceCoalesced: Counter
  let typingDropped: Counter

  // Access
  let revocations: Gauge
  let membershipsEnded: Counter

  // Calls
  let calls: CounterFamily
  let callSeconds: HistogramFamily
  let publishesInFlight: Gauge
  let shed: Counter
  let limits: CounterFamily

  // Links
  let linksUp: GaugeFamily
  let linksLost: CounterFamily
  let linkBacklogBytes: GaugeFamily
  let brokenFrames: Counter
  let traceDropped: Counter

  /// Seconds, with an edge at every threshold that an alert or an objective names.
  static let latencyEdges = [
    0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1, 2.5, 5, 10,
  ]
  static let workers = ["scheduler", "presence"]
  static let transports = ["websocket", "websocket_tls", "sse", "call_stream", "poll"]
  static let features = ["realtime_engine_v2", "realtime_presence"]

  init(_ registry: MetricsRegistry) {
    let types = EventType.allCases.map(\.wireName)
    let paths = DeliveryPath.allCases.map(\.label)
    connections = registry.gauge(
      "avalo_connections", help: "Open client connections.", labels: ["transport": GatewayMetrics.transports])
    attempts = registry.counter(
      "avalo_connection_attempts_total", help: "Attempts to connect, by how they ended.",
      labels: ["outcome": ConnectOutcome.allCases.map(\.label)])
    closes = registry.counter(
      "avalo_connection_closes_total", help: "Connections the server ended, by close code.",
      labels: ["code": CloseCode.allCases.map { "\($0.rawValue)" }])
    ends = registry.counter(
      "avalo_connection_ends_total", help: "Connections of known users that ended, by who ended them.",
      labels: ["by": ConnectionEnd.allCases.map(\.rawValue)])
    resumes = registry.counter(
      "avalo_resumes_total", help: "Topics that clients came back to, by whether the log still had their place.",
      labels: ["outcome": ResumeOutcome.allCases.map(\.rawValue)])
    certificateExpiry = registry.gauge(
      "avalo_tls_certificate_expiry_timestamp_seconds",
      help: "When the first certificate of the chain that is served expires, in seconds since 1970; 0 without TLS.")
    subscriptions = registry.gauge("avalo_subscriptions", help: "Topics that open sessions are subscribed to.")
    badFrames = registry.counter("avalo_bad_frames_total", help: "Client frames that were not of the protocol.")
    featureRollout = registry.gauge(
      "avalo_feature_rollout_ratio", help: "Share of the users who have the feature, without those named one by one.",
      labels: ["feature": GatewayMetrics.features])
    published = registry.counter(
      "avalo_events_published_total",
      help: "Events accepted into the log, as answered to their publishers; without broadcasts in the background.",
      labels: ["type": types])
    delivered = registry.counter(
      "avalo_events_delivered_total", help: "Events written to connections.", labels: ["type": types, "path": paths])
    deliverySeconds = registry.histogram(
      "avalo_event_delivery_seconds",
      help: "From an event's acceptance at the edge to its being written to a connection.",
      edges: GatewayMetrics.latencyEdges, labels: ["path": paths, "transport": GatewayMetrics.transports])
    ackSeconds = registry.histogram(
      "avalo_event_ack_seconds", help: "From an event's acceptance at the edge to its acknowledgement by a client.",
      edges: GatewayMetrics.latencyEdges)
    acknowledged = registry.counter("avalo_acknowledgements_total", help: "Acknowledgements that clients sent.")
    gaps = registry.counter(
      "avalo_gaps_total", help: "Gaps told to clients.", labels: ["reason": GapReason.allCases.map(\.wireName)])
    missed = registry.counter(
      "avalo_events_missed_total", help: "Durable events that a client was told it will not get.",
      labels: ["reason": [GapReason.expired, .evicted].map(\.wireName)])
    undeliveredSeconds = registry.gauge(
      "avalo_oldest_undelivered_seconds",
      help: "How long the connected client that is behind longest has been waiting for the log's events; 0 for none.",
      labels: ["transport": GatewayMetrics.transports])
    reads = registry.counter(
      "avalo_replay_reads_total", help: "Pages of the log asked for by sessions that were behind.")
    parked = registry.counter(
      "avalo_sessions_parked_total", help: "Times a slow consumer was parked, to go on from the log.")
    presenceCoalesced = registry.counter(
      "avalo_presence_coalesced_total", help: "Presence changes that a slow consumer gets as one, later.")
    typingDropped = registry.counter(
      "avalo_typing_dropped_total", help: "Typing indicators that were not written to a slow consumer.")
    revocations = registry.gauge("avalo_access_revocations", help: "Revocations that are kept.")
    membershipsEnded = registry.counter(
      "avalo_access_subscriptions_ended_total", help: "Subscriptions that ended because the user is no member.")
    calls = registry.counter(
      "avalo_calls_total", help: "Calls, by function and status code.",
      labels: ["function": CallTable.names, "code": StatusCode.allCases.map(\.wireName)])
    callSeconds = registry.histogram(
      "avalo_call_seconds", help: "From a call's arrival to its answer.", edges: GatewayMetrics.latencyEdges,
      labels: ["function": CallTable.names])
    publishesInFlight = registry.gauge("avalo_publishes_in_flight", help: "Publishes that wait for the log's answer.")
    shed = registry.counter("avalo_publishes_shed_total", help: "Publishes refused because too many were waiting.")
    limits = registry.counter(
      "avalo_limit_refusals_total", help: "What was refused because a caller met a limit, by the limit.",
      labels: ["limit": CallLimit.allCases.map(\.wireName)])
    linksUp = registry.gauge(
      "avalo_link_up", help: "1 while the link to the worker is up.", labels: ["worker_kind": GatewayMetrics.workers])
    linksLost = registry.counter(
      "avalo_link_lost_total", help: "Links to the worker that ended.", labels: ["worker_kind": GatewayMetrics.workers])
    linkBacklogBytes = registry.gauge(
      "avalo_link_backlog_bytes", help: "Bytes waiting to be sent to the worker.",
      labels: ["worker_kind": GatewayMetrics.workers])
    traceDropped = registry.counter(
      "avalo_trace_dropped_total", help: "Exceptions that were not noted for avaloctl trace: too many, or no room.")
    brokenFrames = registry.counter("avalo_link_broken_frames_total", help: "Frames of workers that did not parse.")
  }
}

extension GatewayMetrics {
  /// What the front door says of an attempt that became no session; the hubs count those that it let in.
  func observe(_ outcome: UpgradeOutcome) {
    let label: ConnectOutcome? =
      switch outcome {
      case .accepted: nil
      case .refused(let status): status == 403 ? .denied : status == 503 ? .shed : .badRequest
      case .malformed: .badRequest
      case .addressFull: .limit
      case .overloaded: .shed
      case .abandoned: .abandoned
      }
    if outcome == .addressFull { limits.with(CallLimit.connectionsPerAddress.wireName).add(1) }
    if let label { attempts.with(label.label).add(1) }
  }
}

extension GatewayMetrics {
  func show(_ flags: FeatureFlags) {
    for flag in flags.all { featureRollout.with(flag.name).set(Double(flag.rollout) / 10_000) }
  }
}

/// What one hub measures: handles, so that nothing is looked up by name where events pass.
struct HubMetrics: Sendable {
  let connections: Gauge
  let subscriptions: Gauge
  let reads: Counter
  let parked: Counter
  let presenceCoalesced: Counter
  let typingDropped: Counter
  let brokenFrames: Counter
  let badFrames: Counter
  let acknowledged: Counter
  let liveSeconds: Histogram
  let replaySeconds: Histogram
  let ackSeconds: Histogram
  let membershipsEnded: Counter
  let undeliveredSeconds: Gauge
  private let closes: [Counter]
  private let ends: [Counter]
  private let resumes: [Counter]
  private let gaps: [Counter]
  private let missed: [Counter]
  private let attempts: [Counter]
  private let delivered: [Counter]
  private let limits: [Counter]

  init(_ metrics: GatewayMetrics, transport: String) {
    connections = metrics.connections.with(transport)
    subscriptions = metrics.subscriptions
    reads = metrics.reads
    parked = metrics.parked
    presenceCoalesced = metrics.presenceCoalesced
    typingDropped = metrics.typingDropped
    brokenFrames = metrics.brokenFrames
    badFrames = metrics.badFrames
    acknowledged = metrics.acknowledged
    liveSeconds = metrics.deliverySeconds.with(DeliveryPath.live.label, transport)
    replaySeconds = metrics.deliverySeconds.with(DeliveryPath.replay.label, transport)
    ackSeconds = metrics.ackSeconds
    membershipsEnded = metrics.membershipsEnded
    undeliveredSeconds = metrics.undeliveredSeconds.with(transport)
    closes = CloseCode.allCases.map { metrics.closes.with("\($0.rawValue)") }
    ends = ConnectionEnd.allCases.map { metrics.ends.with($0.rawValue) }
    resumes = ResumeOutcome.allCases.map { metrics.resumes.with($0.rawValue) }
    gaps = GapReason.allCases.map { metrics.gaps.with($0.wireName) }
    missed = [GapReason.expired, .evicted].map { metrics.missed.with($0.wireName) }
    attempts = ConnectOutcome.allCases.map { metrics.attempts.with($0.label) }
    limits = CallLimit.allCases.map { metrics.limits.with($0.wireName) }
    delivered = EventType.allCases.flatMap { type in
      DeliveryPath.allCases.map { metrics.delivered.with(type.wireName, $0.label) }
    }
  }

  func closes(_ code: CloseCode) -> Counter { closes[CloseCode.allCases.firstIndex(of: code)!] }
  func ends(_ end: ConnectionEnd) -> Counter { ends[ConnectionEnd.allCases.firstIndex(of: end)!] }
  func resumes(_ outcome: ResumeOutcome) -> Counter { resumes[ResumeOutcome.allCases.firstIndex(of: outcome)!] }
  func gaps(_ reason: GapReason) -> Counter { gaps[reason.rawValue] }
  func missed(_ missed: MissedEvents) {
    if missed.expired > 0 { self.missed[0].add(missed.expired) }
    if missed.evicted > 0 { self.missed[1].add(missed.evicted) }
  }
  func limits(_ limit: CallLimit) -> Counter { limits[Int(limit.rawValue)] }
  func attempts(_ outcome: ConnectOutcome) -> Counter { attempts[outcome.rawValue] }
  /// Types are numbered from 1.
  func delivered(_ type: EventType, _ path: DeliveryPath) -> Counter {
    delivered[(Int(type.rawValue) - 1) * DeliveryPath.allCases.count + path.rawValue]
  }
}

/// Who ended a connection: the values of `avalo_connection_ends_total`'s label.
enum ConnectionEnd: String, CaseIterable {
  /// With a goodbye.
  case client
  /// By intention: draining, rights that ended, a rule that was broken.
  case server
  /// It could not be served: a worker was away.
  case fault
  /// Without a goodbye: the network, silence, or a client that took nothing any more.
  case lost
}

/// Whether a client that named its place in a topic went on from there.
enum ResumeOutcome: String, CaseIterable { case recovered, unrecovered }

/// Durable events that were gone before a client had them, by ``GapReason``.
struct MissedEvents {
  var expired = 0
  var evicted = 0

  mutating func add(_ hole: Hole) {
    switch hole.reason {
    case .expired: expired += Int(hole.to - hole.from + 1)
    case .evicted: evicted += Int(hole.to - hole.from + 1)
    // Nothing that was theirs.
    case .epoch, .membership: break
    }
  }
}

/// How an event reached a client.
enum DeliveryPath: Int, CaseIterable {
  case live, replay

  var label: String {
    switch self {
    case .live: "live"
    case .replay: "replay"
    }
  }
}

extension Histogram {
  /// A latency that may come out negative when the wall clock jumped: counted as none.
  func observe(microseconds: Int64, count: Int) { observe(seconds: Double(max(0, microseconds)) / 1e6, count: count) }
}
