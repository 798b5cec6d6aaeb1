import AvaloSystem
import Logging

// Replace: a worker's next generation takes over from the present one. Where two may live side by side, the new one is
// started on the same listening sockets, and only when all of it is ready is the old one told to drain: so nobody who
// connects is refused, and a new one that does not work costs nothing. Where something can have one owner, the old one
// ends first.
extension Supervisor {
  /// Replaces these instances, worker by worker in their drain order. Answers what did not become so; behind the first
  /// worker that fails, nothing more is touched.
  func renew(_ ids: [InstanceID]) async -> [String] {
    let workers = Dictionary(grouping: ids, by: \.worker).compactMap { name, ids in
      configuration.worker(name).map { (worker: $0, ids: ids.sorted()) }
    }.sorted { ($0.worker.drain.order, $0.worker.name) < ($1.worker.drain.order, $1.worker.name) }
    var problems: [String] = []
    for (index, (worker, ids)) in workers.enumerated() {
      problems = worker.overlap ? await replace(worker, ids) : await roll(ids)
      guard problems.isEmpty else {
        let rest = workers[(index + 1)...].map(\.worker.name)
        if !rest.isEmpty { problems.append("\(rest.joined(separator: ", ")): not replaced because of that") }
        break
      }
    }
    return problems
  }

  /// Starts a successor beside each of `ids`; when all are ready they take the places, else they end and everything
  /// stays as it was.
  private func replace(_ worker: WorkerManifest, _ ids: [InstanceID]) async -> [String] {
    // Two generations at a time: however often somebody asks, there are never more processes than that.
    await until { $0.phase == .stopping || $0.leaving(worker.name).isEmpty }
    // One that has no process needs no successor.
    let present = ids.compactMap { instances[$0] }.filter { $0.role == .serving }
    let idle = present.filter { !$0.state.hasProcess }.map(\.id)
    let running = present.filter(\.state.hasProcess)
    let successors: [Instance]
    switch startSuccessors(of: running, worker) {
    case .success(let started): successors = started
    case .failure(let problem): return [problem.description]
    }
    let slots = successors.map(\.id)
    await until { supervisor in
      let instances = slots.compactMap { supervisor.instances[$0] }
      return supervisor.phase == .stopping || instances.contains { $0.failure != nil }
        || instances.allSatisfy(\.state.isUp)
    }
    guard phase != .stopping else { return [] }
    if let failed = successors.first(where: { $0.failure != nil }) {
      retire(successors)
      replacements[worker.name, default: (0, 0)].failure += 1
      log.error(
        "new generation is not ready, the old one goes on",
        metadata: ["worker": "\(worker.name)", "instance": "\(failed.id)", "reason": "\(failed.failure ?? "")"])
      return [
        "\(worker.name): the new generation did not become ready (\(failed.id): \(failed.failure ?? "")); the old one goes on"
      ]
    }
    for successor in successors { successor.role = .serving }
    retire(Array(running.prefix(successors.count)))
    if !successors.isEmpty {
      replacements[worker.name, default: (0, 0)].success += 1
      log.notice(
        "new generation serves",
        metadata: ["worker": "\(worker.name)", "instances": "\(slots.map(\.description).joined(separator: " "))"])
    }
    return await roll(idle)
  }

  private func startSuccessors(of running: [Instance], _ worker: WorkerManifest) -> Result<[Instance], ReplaceError> {
    guard phase != .stopping else { return .success([]) }
    let free = freeSlots(of: worker, for: running.map(\.place))
    do {
      var wanted = slotsInUse
      wanted[worker.name, default: []].formUnion(free.map(\.slot))
      sockets = try sockets.next(for: configuration, slots: wanted, closed: closedPlaces)
    } catch {
      return .failure(ReplaceError(worker: worker.name, errors: error.errors))
    }
    return .success(free.map { start(worker, place: $0.place, slot: $0.slot, role: .succeeding) })
  }

  /// Has instances send their clients on and end, for good.
  func retire(_ leaving: [Instance]) {
    for instance in leaving { instance.role = .leaving }
    for (name, group) in Dictionary(grouping: leaving, by: \.id.worker) {
      tellDraining(group[0].manifest, count: self.leaving(name).count)
    }
    for instance in leaving { feed(.stop, to: instance) }
  }

  /// Before they are told to: a worker's processes share what a drain may cost.
  func tellDraining(_ worker: WorkerManifest, count: Int) {
    do {
      try runtime?.tellDraining(worker, count: count)
    } catch {
      log.error("cannot say how many drain", metadata: ["worker": "\(worker.name)", "error": "\(error)"])
    }
  }

  /// Whether avalod itself runs an earlier program than the one that lies there now.
  var isOutdated: Bool { program.map { $0.stamp != ProgramStamp($0.path) } ?? false }

  /// By worker; of those in the configuration.
  var slotsInUse: [String: Set<Int>] {
    Dictionary(uniqueKeysWithValues: configuration.workers.map { ($0.name, slots(of: $0.name)) })
  }
}

/// Why a generation could not even be started.
private struct ReplaceError: Error, CustomStringConvertible {
  var worker: String
  var errors: [ListenError]
  var description: String {
    "\(worker): \(errors.map { "\($0.owner): \($0)" }.joined(separator: "; ")); the old generation goes on"
  }
}
