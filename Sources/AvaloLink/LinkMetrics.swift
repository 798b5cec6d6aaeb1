import AvaloMetrics

/// The metrics of a process's links, one series for each name of a neighbour.
public struct LinkMetrics: Sendable {
  private let counters: [(name: String, counters: LinkCounters)]

  /// Declares them. `links` names the neighbours, such as `scheduler`, `presence`, or `gateway` on the accepting side.
  public init(_ registry: MetricsRegistry, links: [String]) {
    let counters = links.map { (name: $0, counters: LinkCounters()) }
    self.counters = counters
    func add(
      _ kind: MetricsRegistry.ComputedKind, _ name: String, _ help: String,
      _ value: @escaping @Sendable (LinkCounters) -> Int
    ) {
      registry.computed(kind, name, help: help, labels: ["link"]) {
        counters.map { .init(Double(value($0.counters)), labels: [$0.name]) }
      }
    }
    add(.counter, "avalo_link_received_bytes_total", "Bytes received from the neighbour.") { $0.receivedBytes }
    add(.counter, "avalo_link_sent_bytes_total", "Bytes sent to the neighbour.") { $0.sentBytes }
    add(.counter, "avalo_link_opened_total", "Links whose hand-shake succeeded.") { $0.opened }
    add(.counter, "avalo_link_closed_total", "Opened links that ended.") { $0.closed }
    add(.gauge, "avalo_link_backlog_bytes", "Bytes that wait for the neighbour to read.") { $0.backlogBytes }
  }

  /// What ``LinkServer`` or ``LinkClient`` counts with.
  public func counters(for link: String) -> LinkCounters {
    guard let found = counters.first(where: { $0.name == link }) else {
      preconditionFailure("link \"\(link)\" has no metrics")
    }
    return found.counters
  }
}
