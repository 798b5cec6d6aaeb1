import AvaloSystem
import Glibc

// Spawn: a process for a slot, with its sockets, its notify socket, its lifeline and its settings.
extension Supervisor {
  func spawnAll() {
    for worker in configuration.workers {
      for (place, slot) in openPlaces(of: worker) { start(worker, place: place, slot: slot) }
    }
    // A service without workers is ready too.
    somethingChanged()
  }

  @discardableResult
  func start(_ worker: WorkerManifest, place: Int, slot: Int, role: Instance.Role = .serving) -> Instance {
    let id = InstanceID(worker: worker.name, slot: slot)
    precondition(instances[id] == nil, "\(id) is there already")
    let instance = Instance(id: id, place: place, role: role, manifest: worker)
    if let restarts = retired[id] { instance.restarts = restarts }
    instances[id] = instance
    feed(.start, to: instance)
    return instance
  }

  /// The places of a worker that nobody fills, each with the slot for who will: the same number if it is free.
  func openPlaces(of worker: WorkerManifest) -> [(place: Int, slot: Int)] {
    let filled = Set(serving(worker.name).map(\.place)).union(closedPlaces[worker.name] ?? [])
    return freeSlots(of: worker, for: (0..<worker.instances).filter { !filled.contains($0) })
  }

  /// Slots that no process of the worker has, a number of its own for each of `places`.
  func freeSlots(of worker: WorkerManifest, for places: [Int]) -> [(place: Int, slot: Int)] {
    var taken = slots(of: worker.name)
    return places.map { place in
      var slot = place
      if taken.contains(slot) { slot = (0...).first { !taken.contains($0) } ?? taken.count }
      taken.insert(slot)
      return (place, slot)
    }
  }

  /// Of all its instances, those that leave too.
  func slots(of worker: String) -> Set<Int> {
    Set(instances.keys.lazy.filter { $0.worker == worker }.map(\.slot))
  }

  /// Starts a process for `instance`, whose last one has ended.
  func spawn(_ instance: Instance) {
    let worker = instance.manifest
    precondition(instance.process == nil, "\(instance.id) has a process already")
    guard let runtime, let lifeline else { preconditionFailure("spawned before bound") }
    // What a running process was told stays true for it; from now on the new value is.
    instance.state.policy = worker.policy
    instance.status = nil
    // Before the program is read: one that is replaced in this moment is outdated, not taken for the new one.
    instance.start = Instance.Start(manifest: worker, program: ProgramStamp(worker.executable))
    do {
      let notifySocket = try NotifySocket(path: runtime.notifyPath(worker.name, instance.id.slot), user: worker.user)
      do {
        instance.process = try ChildProcess(
          description(of: instance, notify: notifySocket.path, lifeline: lifeline.readEnd, runtime))
      } catch {
        notifySocket.close()
        throw error
      }
      instance.notifySocket = notifySocket
    } catch {
      log.error("worker cannot be started", metadata: ["worker": "\(instance.id)", "error": "\(error)"])
      return feed(.spawnFailed, to: instance)
    }
    instance.starts += 1
    watch(instance)
    if instance.starts == 1 { tellOfCutLimit(instance) }
    log.info(
      "worker started",
      metadata: [
        "worker": "\(instance.id)", "pid": "\(instance.process?.pid ?? 0)", "executable": "\(worker.executable)",
      ])
  }

  private func description(
    of instance: Instance, notify: String, lifeline: Int32, _ runtime: RuntimeDirectory
  ) -> ChildProcess.Description {
    let worker = instance.manifest
    let inherited = sockets.sockets(of: worker, place: instance.place, slot: instance.id.slot)
    let environment = WorkerEnvironment.serving(
      WorkerEnvironment.base(of: worker, in: configuration, inherited: context.environment),
      slot: instance.id.slot, instances: worker.instances, sockets: inherited,
      lifeline: InheritedSockets.firstDescriptor + Int32(inherited.count), watchdog: worker.watchdog,
      drain: worker.drain.deadline, notify: notify, settings: runtime.settingsPath(worker.name),
      draining: runtime.drainingPath(worker.name))
    return ChildProcess.Description(
      executable: worker.executable, arguments: worker.arguments, environment: environment,
      descriptors: inherited.map(\.descriptor) + [lifeline], limits: worker.limits, user: worker.user)
  }

  /// The machine's hard limit cuts ours without a word (setrlimit(2) clamps): whoever set it should know.
  private func tellOfCutLimit(_ instance: Instance) {
    guard let process = instance.process,
      let wanted = instance.manifest.limits.first(where: { $0.name == "open_files" }),
      let has = ProcessStatistics(of: process.pid)?.maxDescriptors, has < wanted.value
    else { return }
    log.info(
      "open_files is cut to the hard limit",
      metadata: ["worker": "\(instance.id)", "wanted": "\(wanted.value)", "limit": "\(has)"])
  }
}
