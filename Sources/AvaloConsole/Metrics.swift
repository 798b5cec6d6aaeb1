import AvaloMetrics

/// Every series of the console.
struct ConsoleMetrics: Sendable {
  let logins: CounterFamily
  let sessions: Gauge
  let questions: CounterFamily

  /// How an attempt to sign in ended.
  enum Login: String, CaseIterable {
    case success, refused
    /// Too many had failed.
    case limited
    /// Nobody was there to ask about the key.
    case unavailable
  }
  /// How a question over the control socket ended.
  enum Question: String, CaseIterable { case answered, refused, unanswered }

  init(_ registry: MetricsRegistry) {
    logins = registry.counter(
      "avalo_console_logins_total", help: "Attempts to sign in, by how they ended.",
      labels: ["result": Login.allCases.map(\.rawValue)])
    sessions = registry.gauge("avalo_console_sessions", help: "People who are signed in.")
    questions = registry.counter(
      "avalo_console_questions_total", help: "Questions to avalod's control socket, by how they ended.",
      labels: ["result": Question.allCases.map(\.rawValue)])
  }
}
