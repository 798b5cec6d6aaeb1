import AvaloSystem
import Glibc
import Logging

// Bind: everything that others connect to exists before anything is started, so the order of starting needs no code,
// and a failure starts nothing.
extension Supervisor {
  func bind() async throws {
    let runtime = try RuntimeDirectory(configuration.runtimeDirectory)
    self.runtime = runtime
    try Folder.create(configuration.stateDirectory)
    stateLock = try FolderLock(
      configuration.stateDirectory, name: "avalod.state.lock", setting: "state_directory")
    lifeline = try LifelinePipe()
    tellOfInherited()
    let kept = sockets
    sockets = try await boundWhenFree()
    for name in kept.release(for: sockets) {
      log.info("stored socket is no longer used", metadata: ["socket": "\(name)"])
      notifier.forget(name: name)
    }
    storeSockets()
    try runtime.draftSettings(of: configuration.workers)
    try runtime.putSettings(of: configuration.workers)
    tellOfListeners()
    isBound = true
  }

  /// The workers of an avalod that was killed die with it, but not in the same instant: their sockets may be taken for
  /// a moment yet.
  private func boundWhenFree() async throws -> SocketTable {
    let deadline = clock.now + SupervisorLimits.bindPatience
    while true {
      do {
        return try sockets.next(for: configuration)
      } catch {
        // Told to stop meanwhile, it waits no longer.
        guard error.errors.allSatisfy({ $0.code == EADDRINUSE }), clock.now < deadline, phase != .stopping else {
          for error in error.errors { log.error("cannot listen", metadata: error.metadata) }
          throw error
        }
      }
      await pause(SupervisorLimits.bindRetry)
    }
  }

  /// Gives our listeners to the service manager, which gives them back after a restart of ours.
  func storeSockets() {
    for socket in sockets.stored { notifier.store([socket.descriptor], name: socket.name) }
  }

  private func tellOfInherited() {
    for name in sockets.unusable {
      log.warning("inherited descriptor is no listening socket", metadata: ["socket": "\(name)"])
    }
    for name in sockets.unclaimed(by: configuration) {
      log.warning("no worker takes the inherited socket", metadata: ["socket": "\(name)"])
    }
  }

  func tellOfListeners() {
    for worker in configuration.workers {
      for socket in worker.sockets {
        for address in addresses(of: socket, worker) {
          log.info("listening", metadata: ["socket": "\(worker.name).\(socket.name)", "address": "\(address)"])
        }
      }
    }
    for listener in sockets.own("admin") {
      log.info("listening", metadata: ["socket": "avalod.admin", "address": "\(listener.address)"])
    }
  }

  func addresses(of socket: SocketManifest, _ worker: WorkerManifest) -> [ListenAddress] {
    var addresses: [ListenAddress] = []
    // The first place that is not closed.
    let place = (0..<worker.instances).first { !(closedPlaces[worker.name]?.contains($0) ?? false) } ?? 0
    for listener in sockets.listening(worker, socket, place: place) where !addresses.contains(listener.address) {
      addresses.append(listener.address)
    }
    return addresses
  }

  func pause(_ duration: Duration) async {
    await withCheckedContinuation { continuation in
      loop.schedule(at: clock.now + duration) { continuation.resume() }
    }
  }
}

/// The pipe whose end of file tells every worker that we are gone: only this process holds the end for writing.
struct LifelinePipe: Sendable {
  /// What the workers inherit.
  let readEnd: Int32
  private let writeEnd: Int32

  init() throws(SystemError) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw SystemError("pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    (readEnd, writeEnd) = (ends[0], ends[1])
  }

  func close() {
    Glibc.close(readEnd)
    Glibc.close(writeEnd)
  }
}

extension ListenError {
  var metadata: Logger.Metadata { ["socket": "\(owner)", "error": "\(self)"] }
}
