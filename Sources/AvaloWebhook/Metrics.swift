import AvaloMetrics

/// Every series of the webhook.
struct WebhookMetrics: Sendable {
  let sent: Counter
  let failed: CounterFamily
  let retried: Counter
  let dead: Counter
  let skipped: CounterFamily
  let postSeconds: Histogram
  let lagSeconds: Gauge
  let waiting: Gauge
  let isPaused: Gauge

  /// Why a post was none.
  enum Failure: String, CaseIterable { case refused, unavailable }
  /// Why an event was not posted.
  enum Skip: String, CaseIterable {
    /// The user has a live connection.
    case online
    /// Its time was over.
    case expired
    /// Its inbox was erased.
    case erased
    /// It was dropped because too many waited in the log.
    case missed
  }

  init(_ registry: MetricsRegistry) {
    sent = registry.counter("avalo_webhook_sent_total", help: "Events that the endpoint took.")
    failed = registry.counter(
      "avalo_webhook_failed_total", help: "Posts that the endpoint refused, or did not answer in its right mind.",
      labels: ["reason": Failure.allCases.map(\.rawValue)])
    retried = registry.counter("avalo_webhook_retried_total", help: "Posts of an event that had been posted before.")
    dead = registry.counter(
      "avalo_webhook_dead_lettered_total",
      help: "Events given up: after their last attempt, after too long, or expired meanwhile.")
    skipped = registry.counter(
      "avalo_webhook_skipped_total", help: "Events that were not posted, by reason.",
      labels: ["reason": Skip.allCases.map(\.rawValue)])
    postSeconds = registry.histogram(
      "avalo_webhook_post_seconds", help: "From a post to the endpoint's answer.")
    lagSeconds = registry.gauge(
      "avalo_webhook_lag_seconds", help: "Age of the oldest event that is not done; 0 when none waits.")
    waiting = registry.gauge("avalo_webhook_waiting", help: "Events here that are not done.")
    isPaused = registry.gauge("avalo_webhook_paused", help: "1 while the endpoint is left alone after failures.")
  }
}
