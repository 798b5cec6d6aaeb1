import AvaloMetrics

/// Every series of the presence worker.
struct PresenceMetrics: Sendable {
  let connections: Gauge
  let online: Gauge
  let opened: Counter
  let closed: Counter
  let stale: Counter
  let queries: Counter
  let refusedQueries: Counter
  let updates: Counter
  let changes: Counter
  let watches: Gauge
  let lagged: Counter
  let typing: Counter
  let droppedTyping: Counter
  let disconnected: Counter
  let failedReads: Counter
  let failedWrites: Counter
  let unwritten: Gauge
  let lostUsers: Counter
  let writeSeconds: Histogram

  init(_ registry: MetricsRegistry) {
    connections = registry.gauge(
      "avalo_presence_connections", help: "Connections in the registry, those included that linger.")
    online = registry.gauge("avalo_presence_users_online", help: "Users who are online, lingering ones included.")
    opened = registry.counter("avalo_presence_opened_total", help: "Connections that gateways named.")
    closed = registry.counter("avalo_presence_closed_total", help: "Connections that gateways ended.")
    stale = registry.counter("avalo_presence_stale_total", help: "Connections removed by the sweep.")
    queries = registry.counter("avalo_presence_queries_total", help: "Batches of users asked for.")
    refusedQueries = registry.counter(
      "avalo_presence_refused_queries_total", help: "Batches refused since too much was asked for.")
    updates = registry.counter("avalo_presence_updates_total", help: "Updates that users made of their presence.")
    changes = registry.counter(
      "avalo_presence_changes_total", help: "Changes of users' presence, and snapshots, that somebody was told.")
    watches = registry.gauge(
      "avalo_presence_watches", help: "Users that gateways watch, counted for each of their loops.")
    lagged = registry.counter(
      "avalo_presence_lagged_total", help: "Changes that a gateway had no room for; it is told the last state later.")
    typing = registry.counter("avalo_typing_indicators_total", help: "Typing indicators that went out.")
    droppedTyping = registry.counter(
      "avalo_typing_indicators_dropped_total", help: "Typing indicators dropped since there was too much.")
    disconnected = registry.counter(
      "avalo_presence_disconnected_total", help: "Connections ended because a server asked for it.")
    failedReads = registry.counter("avalo_presence_failed_reads_total", help: "Questions the file did not answer.")
    failedWrites = registry.counter(
      "avalo_presence_failed_writes_total", help: "Batches the file did not take; they are tried again.")
    unwritten = registry.gauge("avalo_presence_unwritten_rows", help: "Rows that wait for the file.")
    lostUsers = registry.counter(
      "avalo_presence_lost_users_total", help: "Users forgotten unwritten since the file took nothing for too long.")
    writeSeconds = registry.histogram("avalo_presence_write_seconds", help: "From a batch's hand-over to its commit.")
  }
}
