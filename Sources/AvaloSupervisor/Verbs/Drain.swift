import AvaloSystem
import Glibc

// Drain: the workers end in their order, each within its deadline, so that what the later ones hold (the log) outlives
// what the earlier ones still send it.
extension Supervisor {
  func drain() async {
    let groups = Dictionary(grouping: instances.values) { $0.manifest.drain.order }
    for order in groups.keys.sorted() {
      let group = groups[order] ?? []
      extendUpward(by: group.map(\.manifest.drain.deadline).max() ?? .zero)
      for ofWorker in Dictionary(grouping: group, by: \.id.worker).values {
        tellDraining(ofWorker[0].manifest, count: ofWorker.count)
      }
      for instance in group { feed(.stop, to: instance) }
      let ids = group.map(\.id)
      await until { supervisor in ids.allSatisfy { supervisor.phase(of: $0) == .idle } }
    }
  }

  /// No group is cut by our own service manager: it hears anew for each how long that may take.
  private func extendUpward(by deadline: Duration) {
    notifier.extendTimeout(by: deadline + SupervisorLimits.abortGrace + SupervisorLimits.stopMargin)
  }
}
