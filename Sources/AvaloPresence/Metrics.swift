import AvaloMetrics

/// Every series of the presence worker.
struct PresenceMetrics: Sendable {
  let connections: Gauge
  let online: Gauge
  let opened: Counter
  let closed: Counter
  let stale: Counter
  let queries: Counter
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
    failedWrites = registry.counter(
      "avalo_presence_failed_writes_total", help: "Batches the file did not take; they are tried again.")
    unwritten = registry.gauge("avalo_presence_unwritten_rows", help: "Rows that wait for the file.")
    lostUsers = registry.counter(
      "avalo_presence_lost_users_total", help: "Users forgotten unwritten since the file took nothing for too long.")
    writeSeconds = registry.histogram("avalo_presence_write_seconds", help: "From a batch's hand-over to its commit.")
  }
}
