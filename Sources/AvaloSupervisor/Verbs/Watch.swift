import AvaloSystem
import Glibc
import Logging

// Watch: what the processes say and that they end; what the machine and the operator say by signals.
extension Supervisor {
  func watch(_ instance: Instance) {
    guard let process = instance.process, let notifySocket = instance.notifySocket else { return }
    let id = instance.id
    let pid = process.pid
    loop.watch(process.descriptor) { [weak self] in self?.assumeIsolated { $0.ended(id, pid: pid) } }
    loop.watch(notifySocket.descriptor) { [weak self] in self?.assumeIsolated { $0.listen(to: id) } }
  }

  private func ended(_ id: InstanceID, pid: pid_t) {
    guard let instance = instances[id], let process = instance.process, process.pid == pid else { return }
    // Its last words first: a worker may say STOPPING and end in one breath.
    listen(to: id)
    loop.unwatch(process.descriptor)
    guard let ending = process.reap() else {
      // Readable, yet not ended: try again at the next turn.
      return loop.watch(process.descriptor) { [weak self] in self?.assumeIsolated { $0.ended(id, pid: pid) } }
    }
    if let notifySocket = instance.notifySocket {
      loop.unwatch(notifySocket.descriptor)
      notifySocket.close()
    }
    instance.process = nil
    instance.notifySocket = nil
    instance.lastEnding = ending
    feed(.exited(ending), to: instance)
  }

  private func listen(to id: InstanceID) {
    guard let instance = instances[id], let notifySocket = instance.notifySocket else { return }
    for _ in 0..<SupervisorLimits.notificationsPerTurn {
      guard let said = notifySocket.next() else { return }
      if let status = said.status { instance.status = status }
      // READY after RELOADING in one message means that it is over.
      if said.reloading { feed(.reloading, to: instance) }
      if said.ready { feed(.ready, to: instance) }
      if said.watchdog { feed(.watchdog, to: instance) }
      if let time = said.extendTimeout { feed(.extend(time), to: instance) }
      if said.watchdogTriggered { feed(.watchdogTriggered, to: instance) }
      if said.stopping { feed(.stopping, to: instance) }
    }
  }

  // MARK: What people hear

  func tell(_ report: InstanceState.Report, of instance: Instance) {
    var facts: Logger.Metadata = ["worker": "\(instance.id)"]
    if let process = instance.process { facts["pid"] = "\(process.pid)" }
    switch report {
    case .becameReady(let time):
      instance.readyAfter = time
      facts["seconds"] = "\(time.rounded)"
      log.notice("worker ready", metadata: facts)
    case .reloaded:
      log.notice("worker reloaded", metadata: facts)
    case .reloadUnanswered:
      log.warning("worker did not say READY after its reload", metadata: facts)
    case .died(let reason, let ending, let wasReady, let delay):
      if instance.failure == nil { instance.failure = ending.map(\.description) ?? "it could not be started" }
      instance.restarts[RestartReason(reason), default: 0] += 1
      facts["reason"] = "\(reason.rawValue)"
      facts["ending"] = "\(ending.map(\.description) ?? "never started")"
      facts["was_ready"] = "\(wasReady)"
      facts["restart_in"] = "\(delay == .zero ? "0s" : SettingsText.duration(.milliseconds(delay.milliseconds)))"
      log.warning("worker died", metadata: facts)
    case .ended(let ending):
      facts["ending"] = "\(ending)"
      if instance.state.hasProcess { instance.restarts[.requested, default: 0] += 1 }
      log.notice("worker stopped", metadata: facts)
    case .startTimedOut:
      instance.failure = "not ready within \(SettingsText.duration(instance.state.policy.startTimeout))"
      log.error("worker was not ready in time", metadata: facts)
    case .watchdogMissed:
      log.error("worker missed its watchdog, aborting it", metadata: facts)
    case .drainTimedOut:
      log.warning("worker did not stop in time, killing it", metadata: facts)
    case .unkillable:
      log.critical("worker does not end although killed: it is stuck in the kernel", metadata: facts)
    }
  }

  // MARK: Signals

  func watchSignals() throws {
    let signals = try Signals.stream([SIGTERM, SIGINT, SIGHUP, SIGCHLD])
    // Ends with the process.
    Task {
      for await signal in signals { self.signalled(signal) }
    }
  }

  private func signalled(_ signal: Int32) {
    switch signal {
    case SIGHUP: reloadForSignal()
    case SIGCHLD:
      // Only the first process of a container gets orphans; our own children are reaped by their descriptors.
      guard getpid() == 1 else { return }
      ChildProcess.reapOrphans(except: instances.values.compactMap { $0.process?.pid })
    default:
      log.notice("stopping", metadata: ["signal": "\(SignalName.of(signal))"])
      stop()
    }
  }
}
