import AvaloCore
import AvaloMetrics

/// Counts calls and times them, for one loop. The handles are looked up once.
final class CallMetrics: CallObserver {
  private let counters: [[Counter]]
  private let seconds: [Histogram]
  private let limits: [Counter]

  init(_ metrics: GatewayMetrics) {
    counters = CallTable.names.map { name in StatusCode.allCases.map { metrics.calls.with(name, $0.wireName) } }
    seconds = CallTable.names.map { metrics.callSeconds.with($0) }
    limits = CallLimit.allCases.map { metrics.limits.with($0.wireName) }
  }

  func called(_ name: StaticString, _ error: CallError?, took: Duration) {
    if let exceeded = error?.exceeded { refused(exceeded.limit) }
    guard let index = CallTable.callables.firstIndex(where: { $0.name.utf8Start == name.utf8Start }) else { return }
    counters[index][Int((error?.code ?? .ok).rawValue)].add(1)
    seconds[index].observe(took)
  }

  func refused(_ limit: CallLimit) { limits[Int(limit.rawValue)].add(1) }
}
