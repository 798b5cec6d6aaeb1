import AvaloSystem
import Glibc

// Spawn: a process for a slot, with its sockets, its notify socket, its lifeline and its settings.
extension Supervisor {
  func spawnAll() {
    for worker in configuration.workers { addInstances(of: worker) }
  }

  /// Starts the slots that a worker should have and has not.
  func addInstances(of worker: WorkerManifest) {
    for slot in 0..<worker.instances {
      let id = InstanceID(worker: worker.name, slot: slot)
      guard instances[id] == nil else { continue }
      let instance = Instance(id: id, manifest: worker)
      if let restarts = retired[id] { instance.restarts = restarts }
      instances[id] = instance
      feed(.start, to: instance)
    }
  }

  /// Starts a process for `instance`, whose last one has ended.
  func spawn(_ instance: Instance) {
    let worker = instance.manifest
    precondition(instance.process == nil, "\(instance.id) has a process already")
    guard let runtime, let lifeline else { preconditionFailure("spawned before bound") }
    // What a running process was told stays true for it; from now on the new value is.
    instance.state.policy.watchdog = worker.watchdog
    instance.status = nil
    do {
      let notifySocket = try NotifySocket(path: runtime.notifyPath(worker.name, instance.id.slot), user: worker.user)
      let inherited = sockets.sockets(of: worker, slot: instance.id.slot)
      do {
        instance.process = try ChildProcess(
          .init(
            executable: worker.executable, arguments: worker.arguments,
            environment: WorkerEnvironment.serving(
              WorkerEnvironment.base(of: worker, in: configuration, inherited: context.environment),
              slot: instance.id.slot, sockets: inherited,
              lifeline: InheritedSockets.firstDescriptor + Int32(inherited.count), watchdog: worker.watchdog,
              notify: notifySocket.path, settings: runtime.settingsPath(worker.name)),
            descriptors: inherited.map(\.descriptor) + [lifeline.readEnd], limits: worker.limits, user: worker.user))
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
    log.info(
      "worker started",
      metadata: [
        "worker": "\(instance.id)", "pid": "\(instance.process?.pid ?? 0)", "executable": "\(worker.executable)",
      ])
  }
}
