import AvaloSystem
import Glibc

// Stop: asked once, everything drains; asked twice, it ends at once.
extension Supervisor {
  func stop() {
    if let stoppingSince {
      guard clock.now - stoppingSince >= SupervisorLimits.stopSignalSpacing else { return }
      log.warning("told to stop again: killing what is left")
      for instance in instances.values where instance.state.phase != .idle { feed(.kill, to: instance) }
      return
    }
    stoppingSince = clock.now
    phase = .stopping
    notifier.stopping(status: statusLine)
    somethingChanged()
    // Ends when every worker has, which `run` waits for.
    Task { await self.drain() }
  }

  /// After the last worker: nothing of us is left but what the service manager keeps.
  func close() async {
    await adminServer?.stop(within: .seconds(1))
    await controlServer?.stop(within: .seconds(1))
    sockets.closeAll()
    for worker in configuration.workers { runtime?.removeSettings(of: worker.name) }
    lifeline?.close()
    stateLock?.release()
    runtime?.release()
  }
}
