import AvaloSystem
import Glibc
import Logging

/// What came of a reload: nothing, or everything that was wrong.
struct ReloadResult: Equatable, Sendable {
  var problems: [String] = []
  /// Whether the new configuration is in force, with problems or without.
  var isInForce = false
  /// What is in force only for processes that are started from now on.
  var notes: [String] = []
  var isSuccess: Bool { problems.isEmpty }
}

// Reload: the whole new configuration is validated and bound before anything changes; a bad one changes nothing. Then
// mark and sweep: workers that are as before are not touched.
extension Supervisor {
  /// Storms are harmless: while one reload runs, all that come share the next.
  func reloadForSignal() {
    // Before that, what is read anew is what is being read.
    guard isBound, nextReload == nil, phase != .stopping else { return }
    // Ends by itself: every wait in it has a deadline, or ends with the service.
    Task { _ = await self.reload() }
  }

  func reload() async -> ReloadResult {
    if let nextReload { return await nextReload.value }
    let current = currentReload
    let task = Task {
      _ = await current?.value
      self.currentReload = self.nextReload
      self.nextReload = nil
      let result = await self.reloadOnce()
      self.currentReload = nil
      return result
    }
    nextReload = task
    return await task.value
  }

  private func reloadOnce() async -> ReloadResult {
    guard phase != .stopping else { return ReloadResult(problems: ["avalod is stopping"]) }
    log.notice("reloading")
    // Before READY there is nothing to say RELOADING about; but a configuration that keeps us from READY can be mended.
    let wasReady = phase == .running
    if wasReady { notifier.reloading() }
    var result = await exclusively { await $0.apply() }
    if result.isSuccess { result.notes = restartNotes() }
    reloads[result.isSuccess ? "success" : "failure", default: 0] += 1
    lastReload = (result, wallClock.milliseconds)
    guard phase != .stopping else { return result }
    if result.isSuccess {
      log.notice("reloaded", metadata: ["generation": "\(generation)"])
      for note in result.notes { log.notice("reload", metadata: ["note": "\(note)"]) }
      if isOutdated { log.notice("avalod itself runs an earlier program: a restart of the service takes the new one") }
    } else {
      for problem in result.problems { log.error("reload", metadata: ["problem": "\(problem)"]) }
    }
    let outcome =
      result.isSuccess
      ? statusLine : "reload failed (\(result.problems.count) problems, see the log); \(statusLine)"
    if wasReady { notifier.ready(status: outcome) }
    lastStatus = nil
    return result
  }

  /// The configuration as it is in the folder now.
  private func apply() async -> ReloadResult {
    var next: Configuration
    do {
      next = try await checks.read(folder: configurationFolder, context: context)
    } catch {
      return ReloadResult(problems: error.problems.map(\.description))
    }
    // A stop may have come while the workers checked their settings.
    guard phase != .stopping else { return ReloadResult(problems: ["avalod is stopping"]) }
    applyAskedNumbers(to: &next)
    return await apply(next)
  }

  func apply(_ next: Configuration) async -> ReloadResult {
    let fixed = fixedChanges(next)
    guard fixed.isEmpty else { return ReloadResult(problems: fixed) }
    let bound: SocketTable
    switch prepare(next) {
    case .success(let table): bound = table
    case .failure(let refusal): return ReloadResult(problems: refusal.problems)
    }
    // From here on the new configuration is in force; what goes wrong now is said, and goes on. Nothing waits before
    // everything is marked, so no instance is started with the half of it.
    let old = configuration
    let oldSockets = sockets
    configuration = next
    generation += 1
    sockets = bound
    // Before anybody is told to leave: what the kernel gives to a socket that nobody accepts on any more waits in vain.
    for name in oldSockets.release(for: sockets) { notifier.forget(name: name) }
    let marks = mark(next)
    if next.logLevel != old.logLevel { await setLogLevel(next.logLevel) }
    await moveAdmin(from: oldSockets)
    let failures = await sweep(marks, old, next)
    storeSockets()
    return ReloadResult(problems: failures, isInForce: true)
  }

  /// What cannot change while we run.
  private func fixedChanges(_ next: Configuration) -> [String] {
    var problems: [String] = []
    func fixed(_ key: String, _ isSame: Bool) {
      if !isSame { problems.append("\(key): cannot change in a reload; restart avalod") }
    }
    fixed("runtime_directory", next.runtimeDirectory == configuration.runtimeDirectory)
    fixed("state_directory", next.stateDirectory == configuration.stateDirectory)
    fixed("control.socket", next.controlSocket == configuration.controlSocket)
    fixed("log.destination", next.logDestination == configuration.logDestination)
    return problems
  }

  private struct Refusal: Error {
    var problems: [String]
  }

  /// Everything of `next` that the machine may refuse: its settings' files and its sockets. All of it, or nothing.
  private func prepare(_ next: Configuration) -> Result<SocketTable, Refusal> {
    guard let runtime, isBound else { return .failure(Refusal(problems: ["avalod has not started yet"])) }
    do {
      try runtime.draftSettings(of: next.workers)
    } catch {
      return .failure(Refusal(problems: ["settings: \(error)"]))
    }
    let bound: SocketTable
    do {
      bound = try sockets.next(for: next, slots: slotsWanted(next), closed: closedPlaces)
    } catch {
      runtime.dropDrafts(of: next.workers)
      return .failure(Refusal(problems: error.errors.map { "\($0.owner): \($0)" }))
    }
    do {
      try runtime.putSettings(of: next.workers)
      return .success(bound)
    } catch {
      // A worker that is started again before the next reload, which writes all anew, may find a new file.
      runtime.dropDrafts(of: next.workers)
      _ = bound.release(for: sockets)
      return .failure(Refusal(problems: ["settings: \(error)"]))
    }
  }

  /// Of the processes that are there, and of those that `next` adds.
  func slotsWanted(_ next: Configuration) -> [String: Set<Int>] {
    Dictionary(
      uniqueKeysWithValues: next.workers.map { worker in
        (worker.name, slots(of: worker.name).union(openPlaces(of: worker).map(\.slot)))
      })
  }

  // MARK: Mark and sweep

  /// What a reload does to the instances that are there.
  private struct Marks {
    var leaving: [InstanceID] = []
    var signalled: [InstanceID] = []
    var added: [InstanceID] = []
    /// What runs is not what would be started now.
    var outdated: [InstanceID] = []
  }

  /// Gives every instance its new manifest, and finds what is to be done with it.
  private func mark(_ next: Configuration) -> Marks {
    var marks = Marks()
    // This first: the sockets of these slots are bound, and who leaves at once would free others.
    let open = next.workers.map { (worker: $0, places: openPlaces(of: $0)) }
    for instance in serving {
      guard let worker = next.worker(instance.id.worker), instance.place < worker.instances else {
        marks.leaving.append(instance.id)
        continue
      }
      instance.manifest = worker
      adopt(worker.policy, instance)
      if instance.isOutdated {
        marks.outdated.append(instance.id)
      } else if worker.reload == .signal {
        // Also when its settings are the same: the files that they name, certificates and keys, may not be.
        marks.signalled.append(instance.id)
      }
    }
    retire(marks.leaving.compactMap { instances[$0] })
    for id in marks.signalled { instances[id].map { feed(.reload, to: $0) } }
    for (worker, places) in open {
      marks.added += places.map { start(worker, place: $0.place, slot: $0.slot).id }
    }
    return marks
  }

  /// Waits until everything is as marked. Answers what did not become so.
  private func sweep(_ marks: Marks, _ old: Configuration, _ next: Configuration) async -> [String] {
    var problems = await renew(marks.outdated)
    await until { supervisor in
      supervisor.phase == .stopping
        || marks.signalled.allSatisfy { !supervisor.isReadingSettings($0) }
          && marks.leaving.allSatisfy { supervisor.phase(of: $0) == .idle }
    }
    // New ones are part of the service only when they serve.
    await until { supervisor in
      supervisor.phase == .stopping || marks.added.allSatisfy { supervisor.phase(of: $0) != .starting }
    }
    problems += marks.added.filter { instances[$0]?.state.isUp != true }.map {
      "\($0) did not become ready; see the log"
    }
    for worker in old.workers where next.worker(worker.name) == nil { runtime?.removeSettings(of: worker.name) }
    return phase == .stopping ? ["avalod is stopping"] : problems
  }

  private func isReadingSettings(_ id: InstanceID) -> Bool {
    guard let state = instances[id]?.state else { return false }
    return state.phase == .reloading || state.reloadIsPending
  }

  /// What a process was told when it was started stays true for it: the rest is for the next one.
  private func adopt(_ policy: InstanceState.Policy, _ instance: Instance) {
    var adopted = policy
    if instance.state.hasProcess {
      adopted.watchdog = instance.state.policy.watchdog
      adopted.drainDeadline = instance.state.policy.drainDeadline
    }
    instance.state.policy = adopted
  }

  /// Restarts a worker slot by slot, so that its others serve meanwhile; stops at the first that does not come back.
  func roll(_ slots: [InstanceID]) async -> [String] {
    for id in slots {
      // A drain that has begun is not to be undone by a restart.
      guard phase != .stopping else { return [] }
      guard let instance = instances[id] else { continue }
      let starts = instance.starts
      tellDraining(instance.manifest, count: leaving(id.worker).count + 1)
      feed(.restart, to: instance)
      await until { supervisor in
        guard let instance = supervisor.instances[id], supervisor.phase != .stopping else { return true }
        return instance.starts > starts && instance.state.phase != .starting || !instance.state.hasProcess
      }
      // Taken out of the service, or the service itself ended, while we waited.
      guard let instance = instances[id], phase != .stopping else { return [] }
      guard instance.state.isUp else {
        return ["\(id) did not come back (\(instance.lastEnding.map(\.description) ?? "not started")); see the log"]
      }
    }
    return []
  }
}
