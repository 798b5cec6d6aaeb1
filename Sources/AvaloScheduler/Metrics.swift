import AvaloCore
import AvaloMetrics

/// Every series of the scheduler.
public struct SchedulerMetrics: Sendable {
  /// By ``EventType/rawValue``.
  let appended: [Counter?]
  let expired: [Counter?]
  let evicted: [Counter?]
  let duplicates: Counter
  let acknowledged: Counter
  let marks: Counter
  let broadcastRecipients: CounterFamily
  let cancelled: Counter
  let refused: CounterFamily
  let cursorsForgotten: CounterFamily
  let commits: Counter
  let failedCommits: Counter
  let commitSeconds: Histogram
  let groupSize: Histogram
  let lagged: Counter
  let leasesLost: Counter
  let reads: Counter
  let readRows: Counter
  let readStateSeconds: Histogram
  let clockJumps: Counter
  let accessChanges: CounterFamily
  let accessConfirmSeconds: Histogram
  let accessLinksCut: Counter

  let topics: Gauge
  let watches: Gauge
  let sessions: Gauge
  let links: Gauge
  let delayed: Gauge
  let broadcasts: Gauge
  let bytes: Gauge
  let generation: Gauge
  let healthy: Gauge
  let revocations: Gauge
  let followers: Gauge
  let followedKept: Gauge
  let followedMissed: Counter
  let queueDepth: Gauge
  let backlogBytes: Gauge

  /// Why a request was turned away.
  enum Refusal: String, CaseIterable { case overload, log, conflict, invalid, limit, ticket, access }
  /// Why a device's cursor was forgotten though the device is not.
  enum Forgetting: String, CaseIterable { case bound, unused }
  /// What changed of who may do what.
  enum AccessChange: String, CaseIterable { case members, revocation, erasure }

  public init(_ registry: MetricsRegistry) {
    let types = EventType.allCases.map(\.wireName)
    func byType(_ family: CounterFamily) -> [Counter?] {
      (0...255).map { code in EventType(rawValue: code).map { family.with($0.wireName) } }
    }
    appended = byType(
      registry.counter(
        "avalo_log_appended_total", help: "Events appended to topics; a broadcast counts once per inbox.",
        labels: ["type": types]))
    expired = byType(
      registry.counter(
        "avalo_events_expired_total", help: "Events removed because their time was over.", labels: ["type": types]))
    evicted = byType(
      registry.counter(
        "avalo_events_evicted_total", help: "Events removed by their topic's bounds.", labels: ["type": types]))
    duplicates = registry.counter(
      "avalo_log_duplicates_total", help: "Publishes answered with what an earlier one had been answered.")
    acknowledged = registry.counter("avalo_log_acknowledged_total", help: "Acknowledgements that moved a cursor.")
    marks = registry.counter("avalo_read_marks_total", help: "Times a user's read marker in a chat moved.")
    broadcastRecipients = registry.counter(
      "avalo_broadcast_recipients_total",
      help: "Users served by broadcasts in the background, and users not reached before the event's time was over.",
      labels: ["result": ["done", "failed"]])
    cancelled = registry.counter("avalo_log_delayed_cancelled_total", help: "Held events that were taken back.")
    refused = registry.counter(
      "avalo_scheduler_refused_total", help: "Requests turned away, by reason.",
      labels: ["reason": Refusal.allCases.map(\.rawValue)])
    cursorsForgotten = registry.counter(
      "avalo_log_cursors_forgotten_total",
      help: "Places where a device would have gone on in a topic: made room for others, or were not used for long.",
      labels: ["reason": Forgetting.allCases.map(\.rawValue)])
    commits = registry.counter("avalo_log_commits_total", help: "Transactions of the log that were committed.")
    failedCommits = registry.counter(
      "avalo_log_failed_commits_total", help: "Turns whose transaction failed: what it held was refused.")
    commitSeconds = registry.histogram(
      "avalo_log_commit_seconds", help: "What a commit took, from its call to its return.")
    groupSize = registry.histogram(
      "avalo_log_group_size", help: "Requests that shared a commit.", edges: HistogramEdges.batch)
    leasesLost = registry.counter(
      "avalo_leases_lost_total",
      help: "Polls and streams that another request of the same connection took the place of.")
    lagged = registry.counter(
      "avalo_link_lagged_total", help: "Times a gateway got no more events because too much waited for it.")
    reads = registry.counter("avalo_log_reads_total", help: "Pages read for sessions that are behind.")
    readRows = registry.counter("avalo_log_read_events_total", help: "Events on these pages.")
    readStateSeconds = registry.histogram(
      "avalo_read_state_seconds", help: "What it took to count what a user has not read.")
    clockJumps = registry.counter("avalo_clock_jumps_total", help: "Times the wall clock jumped by over a minute.")
    accessChanges = registry.counter(
      "avalo_access_changes_total", help: "Members added or removed, revocations, users erased.",
      labels: ["kind": AccessChange.allCases.map(\.rawValue)])
    accessConfirmSeconds = registry.histogram(
      "avalo_access_confirm_seconds", help: "From a change of access to its being in force in every gateway.")
    accessLinksCut = registry.counter(
      "avalo_access_links_cut_total", help: "Links cut because the gateway did not confirm a change within a second.")
    topics = registry.gauge("avalo_log_topics", help: "Topics in the log.")
    watches = registry.gauge("avalo_log_watches", help: "Watches of gateways' loops on topics.")
    sessions = registry.gauge("avalo_scheduler_sessions", help: "Sessions that are attached.")
    links = registry.gauge("avalo_scheduler_links", help: "Gateways and plugins that are linked.")
    delayed = registry.gauge("avalo_log_delayed", help: "Events held for later.")
    broadcasts = registry.gauge(
      "avalo_broadcasts", help: "Broadcasts in the background: those under way and those whose users are coming.")
    bytes = registry.gauge("avalo_log_bytes", help: "Bytes of the log, its write-ahead log included.")
    generation = registry.gauge("avalo_log_generation", help: "The log's generation; a change is a loss or a restore.")
    healthy = registry.gauge("avalo_log_healthy", help: "1 when the log takes events, 0 while it refuses them.")
    revocations = registry.gauge("avalo_access_revocations", help: "Revocations that are kept.")
    followers = registry.gauge("avalo_log_followers", help: "Plugins for which events are kept, linked or not.")
    followedKept = registry.gauge("avalo_log_followed_events", help: "Events that are kept for them.")
    followedMissed = registry.counter(
      "avalo_log_followed_missed_total", help: "Events dropped before a plugin had them: too many waited.")
    queueDepth = registry.gauge("avalo_scheduler_queue_depth", help: "Commands that wait for the engine.")
    backlogBytes = registry.gauge(
      "avalo_link_backlog_bytes", help: "Bytes on their way to gateways, all links together.")
  }

  func accessChanges(_ kind: AccessChange, _ count: Int) {
    if count > 0 { accessChanges.with(kind.rawValue).add(count) }
  }
  func served(_ done: Int, failed: Int) {
    if done > 0 { broadcastRecipients.with("done").add(done) }
    if failed > 0 { broadcastRecipients.with("failed").add(failed) }
  }
  func cursorsForgotten(_ reason: Forgetting) { cursorsForgotten.with(reason.rawValue).add() }
  func refused(_ reason: Refusal, _ count: Int = 1) { refused.with(reason.rawValue).add(count) }
}
