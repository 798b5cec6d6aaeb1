/// What the charts show: the service's indicators, with the thresholds of `monitoring/rules/alerts.yml`, and its load.
enum Indicator: String, CaseIterable, Sendable {
  case connectionErrors, deliveryP99, deliveryP95, systemErrors, memory, connections, published, delivered

  enum Unit: String, Sendable {
    /// 0 to 1.
    case share
    case seconds
    case count
    /// Per second.
    case rate
  }

  struct Threshold: Equatable, Sendable {
    enum Severity: String, Sendable { case warning, critical }
    var severity: Severity
    /// Above it is too much.
    var value: Double
  }

  /// For people.
  var title: String {
    switch self {
    case .connectionErrors: "Connection errors"
    case .deliveryP99: "Delivery, 99th percentile"
    case .deliveryP95: "Delivery, 95th percentile"
    case .systemErrors: "System errors"
    case .memory: "Memory"
    case .connections: "Connections"
    case .published: "Published"
    case .delivered: "Delivered"
    }
  }

  var unit: Unit {
    switch self {
    case .connectionErrors, .systemErrors, .memory: .share
    case .deliveryP99, .deliveryP95: .seconds
    case .connections: .count
    case .published, .delivered: .rate
    }
  }

  /// The lower first.
  var thresholds: [Threshold] {
    switch self {
    case .connectionErrors: [Threshold(severity: .warning, value: 0.02), Threshold(severity: .critical, value: 0.05)]
    case .deliveryP99: [Threshold(severity: .critical, value: 0.5)]
    case .deliveryP95: [Threshold(severity: .warning, value: 0.2)]
    case .systemErrors: [Threshold(severity: .critical, value: 0.02)]
    case .memory: [Threshold(severity: .warning, value: 0.8)]
    case .connections, .published, .delivered: []
    }
  }
}
