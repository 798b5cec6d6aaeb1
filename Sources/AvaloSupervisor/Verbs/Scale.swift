import AvaloSystem
import Logging

// Scale: another number of instances while everything runs, and places that an operator closes for a while. Both last until
// avalod is started again; a number also until the configuration's own changes.
extension Supervisor {
  /// What an operator asked for in the place of a configured number.
  struct AskedNumber: Equatable {
    var instances: Int
    /// What the configuration said then.
    var configured: Int
  }

  /// Starts or retires instances of a worker until there are `instances`, after those that leave already. Returns when new
  /// ones serve; who leaves now takes the drain's time. Answers what did not become so; then the number is as before.
  func scale(_ name: String, to instances: Int) async -> [String] {
    await until { $0.phase == .stopping || $0.leaving(name).isEmpty }
    guard phase != .stopping, let worker = configuration.worker(name) else { return ["avalod is stopping"] }
    let before = worker.instances
    var problems = resize(name, to: instances)
    guard problems.isEmpty else { return problems }
    let places = before..<max(before, instances)
    await until { supervisor in
      let added = supervisor.serving(name).filter { places.contains($0.place) }
      return supervisor.phase == .stopping || added.contains { $0.failure != nil } || added.allSatisfy(\.state.isUp)
    }
    guard phase != .stopping else { return ["avalod is stopping"] }
    if let failed = serving(name).first(where: { places.contains($0.place) && !$0.state.isUp }) {
      problems.append("\(failed.id) did not become ready (\(failed.failure ?? "")); there are \(before) as before")
      return problems + resize(name, to: before)
    }
    let configured = askedNumbers[name]?.configured ?? before
    askedNumbers[name] = instances == configured ? nil : AskedNumber(instances: instances, configured: configured)
    log.notice("scaled", metadata: ["worker": "\(name)", "instances": "\(instances)", "before": "\(before)"])
    return []
  }

  private func resize(_ name: String, to instances: Int) -> [String] {
    var next = configuration
    guard let index = next.workers.firstIndex(where: { $0.name == name }) else { return [] }
    next.workers[index].instances = instances
    // Opened again by being asked for.
    if instances > configuration.workers[index].instances { closedPlaces[name] = nil }
    let problems = rebind(to: next)
    guard problems.isEmpty else { return problems }
    let worker = next.workers[index]
    for instance in serving(name) { instance.manifest.instances = instances }
    let open = openPlaces(of: worker)
    retire(serving(name).filter { $0.place >= instances })
    for (place, slot) in open { start(worker, place: place, slot: slot) }
    return []
  }

  /// Puts a configuration in force that differs in numbers only, with the sockets for it. Those that nobody is to accept on
  /// any more are closed before anybody is told to leave: see ``apply(_:)``.
  private func rebind(to next: Configuration) -> [String] {
    do {
      let bound = try sockets.next(for: next, slots: slotsWanted(next), closed: closedPlaces)
      let old = sockets
      (configuration, sockets) = (next, bound)
      for name in old.release(for: bound) { notifier.forget(name: name) }
      storeSockets()
      return []
    } catch {
      return error.errors.map { "\($0.owner): \($0)" }
    }
  }

  /// What was asked for goes over what is read, while that says what it said then.
  func applyAskedNumbers(to next: inout Configuration) {
    for (name, asked) in askedNumbers {
      guard let index = next.workers.firstIndex(where: { $0.name == name }),
        next.workers[index].instances == asked.configured
      else {
        askedNumbers[name] = nil
        log.notice("the configured number of instances holds again", metadata: ["worker": "\(name)"])
        continue
      }
      next.workers[index].instances = asked.instances
    }
    for (name, places) in closedPlaces {
      let left = places.filter { $0 < next.worker(name)?.instances ?? 0 }
      closedPlaces[name] = left.isEmpty ? nil : left
    }
  }

  // MARK: Closed places

  /// Sends the clients of these instances on and closes their places: nobody is let in there until a restart.
  func closePlaces(of ids: [InstanceID]) async -> [String] {
    guard phase != .stopping else { return ["avalod is stopping"] }
    let instances = ids.compactMap { self.instances[$0] }.filter { $0.role == .serving }
    for instance in instances { closedPlaces[instance.id.worker, default: []].insert(instance.place) }
    let problems = rebind(to: configuration)
    retire(instances)
    let slots = instances.map(\.id)
    await until { supervisor in
      supervisor.phase == .stopping || slots.allSatisfy { supervisor.phase(of: $0) == .idle }
    }
    return problems
  }

  /// Opens a worker's closed places. Answers who fills them.
  func openClosedPlaces(of worker: WorkerManifest) -> Result<[InstanceID], ListenErrors> {
    guard closedPlaces[worker.name] != nil else { return .success([]) }
    let before = closedPlaces[worker.name]
    closedPlaces[worker.name] = nil
    do {
      sockets = try sockets.next(for: configuration, slots: slotsWanted(configuration), closed: closedPlaces)
    } catch {
      closedPlaces[worker.name] = before
      return .failure(error)
    }
    storeSockets()
    return .success(openPlaces(of: worker).map { start(worker, place: $0.place, slot: $0.slot).id })
  }
}
