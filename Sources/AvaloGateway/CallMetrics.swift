import AvaloCore
import AvaloMetrics

/// Counts calls and times them, for one loop. The handles are looked up once.
final class CallMetrics: CallObserver {
  private let counters: [[Counter]]
  private let seconds: [Histogram]

  init(_ metrics: GatewayMetrics) {
    counters = CallTable.names.map { name in StatusCode.allCases.map { metrics.calls.with(name, $0.wireName) } }
    seconds = CallTable.names.map { metrics.callSeconds.with($0) }
  }

  func called(_ name: StaticString, _ code: StatusCode, took: Duration) {
    guard let index = CallTable.callables.firstIndex(where: { $0.name.utf8Start == name.utf8Start }) else { return }
    counters[index][Int(code.rawValue)].add(1)
    seconds[index].observe(took)
  }
}
