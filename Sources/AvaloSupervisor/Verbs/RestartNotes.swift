import AvaloSystem

// What a reload could not bring into force: the workers that go on with what they were started with, and the keys.
extension Supervisor {
  /// One line a worker, with what to do. Also for what an earlier reload left so.
  func restartNotes() -> [String] {
    configuration.workers.compactMap { worker in
      let waiting = Set(
        ordered.filter { $0.id.worker == worker.name && $0.role != .leaving && $0.state.hasProcess }
          .flatMap { worker.waiting(since: $0.start?.manifest.settings ?? worker.settings) })
      guard !waiting.isEmpty else { return nil }
      return "\(worker.name): \(waiting.sorted().joined(separator: ", ")) will be in force after: "
        + "avaloctl restart \(worker.name)"
    }
  }
}

extension WorkerManifest {
  /// Keys of which a process that was started with `old` does not know the new values.
  func waiting(since old: [UInt8]) -> [String] {
    // Both were written by us.
    guard old != settings, let before = try? SettingsNode(json: old), let now = try? SettingsNode(json: settings) else {
      return []
    }
    switch reload {
    case .restart: return []
    case .none: return ["settings"]
    case .signal:
      return settingsAtStart.filter { key in
        let path = key.split(separator: ".").map(String.init)
        func value(_ node: SettingsNode) -> [UInt8]? { path.reduce(node) { $0?[$1] }?.json() }
        return value(before) != value(now)
      }
    }
  }
}
