import Testing

@testable import AvaloConsole

@Suite struct HistoryTests {
  private func page(connections: Int = 3, used: Int = 40, limit: Int = 100) -> MetricsPage {
    MetricsPage(
      Array(
        "avalo_connections \(connections)\navalo_memory_used_bytes \(used)\navalo_memory_limit_bytes \(limit)".utf8),
      of: ["avalo_connections", "avalo_memory_used_bytes", "avalo_memory_limit_bytes"])
  }

  private func value(_ indicator: Indicator, _ history: History) -> Double? {
    let place = Indicator.allCases.firstIndex(of: indicator) ?? 0
    return history.points.last?.values[place]
  }

  @Test func aFirstLookKnowsNoShareAndNoRate() {
    var history = History()
    history.add(at: 1, milliseconds: 0, Totals(), page())
    #expect(value(.connections, history) == 3 && value(.memory, history) == 0.4)
    for indicator in [Indicator.connectionErrors, .systemErrors, .deliveryP95, .deliveryP99, .published, .delivered] {
      #expect(value(indicator, history) == nil, "\(indicator)")
    }
  }

  @Test func sharesAreOfTheLastFiveMinutesAndRatesOfTheLastLook() {
    var history = History()
    history.add(at: 0, milliseconds: 0, Totals(attempts: 0, attemptErrors: 0), page())
    history.add(at: 1, milliseconds: 240_000, Totals(attempts: 90, attemptErrors: 10, published: 100), page())
    #expect(value(.connectionErrors, history) == 10.0 / 90)
    history.add(at: 2, milliseconds: 310_000, Totals(attempts: 100, attemptErrors: 11, published: 170), page())
    #expect(value(.connectionErrors, history) == 0.1, "what is older than the window does not count")
    #expect(value(.published, history) == 1)
  }

  @Test func nobodyThereIsAHoleAndNotAZero() {
    var history = History()
    history.add(at: 0, milliseconds: 0, Totals(published: 0), page())
    history.addNothing(at: 1, milliseconds: 5000)
    #expect(history.points.last?.values.allSatisfy { $0 == nil } == true)
    history.add(at: 2, milliseconds: 10_000, Totals(published: 50), page())
    #expect(value(.published, history) == 5)
  }

  @Test func keepsTheLastPoints() {
    var history = History(most: 3)
    for at in 0..<10 { history.add(at: Int64(at), milliseconds: Int64(at) * 1000, Totals(), page()) }
    #expect(history.points.map(\.at) == [7, 8, 9])
  }
}

@Suite struct WorkerUsageTests {
  private func page(_ seconds: Double, slot: Int = 0) -> MetricsPage {
    MetricsPage(
      Array(
        """
        avalo_worker_cpu_seconds_total{worker="gateway",slot="\(slot)"} \(seconds)
        avalo_worker_open_fds{worker="gateway",slot="\(slot)"} 17
        """.utf8), of: Set(WorkerUsage.series.keys))
  }

  @Test func tellsWhatEachInstanceUsesOfACore() {
    let first = WorkerUsage.read(page(10), before: [:], seconds: 0)
    #expect(first == ["gateway.0": WorkerUsage(cpuSeconds: 10, openDescriptors: 17)])
    let second = WorkerUsage.read(page(11), before: first, seconds: 4)
    #expect(second["gateway.0"]?.cpuShare == 0.25)
    #expect(WorkerUsage.read(page(1), before: second, seconds: 4)["gateway.0"]?.cpuShare == nil, "a new process")
    #expect(WorkerUsage.read(page(9, slot: 1), before: second, seconds: 4).keys.sorted() == ["gateway.1"])
  }
}
