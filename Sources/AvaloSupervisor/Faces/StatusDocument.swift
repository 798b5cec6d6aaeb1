import AvaloSystem
import Glibc

// The state of the whole as JSON, for `GET /status`.
extension Supervisor {
  func statusDocument() -> SettingsNode {
    let now = clock.now
    var reload = SettingsNode(.null)
    if let lastReload {
      reload = .section(
        ("result", .string(lastReload.result.isSuccess ? "success" : "failure")),
        ("at", .integer(lastReload.at)),
        ("problems", .list(lastReload.result.problems.map { SettingsNode(.string($0)) })))
    }
    return .section(
      ("version", .string(Version.current)),
      ("pid", .integer(Int64(getpid()))),
      ("outdated", .boolean(isOutdated)),
      ("state", .string(isReloading ? "reloading" : phase.rawValue)),
      ("ready", .boolean(isReady)),
      ("status", .string(statusLine)),
      ("uptime", .number((now - bornAt).rounded)),
      ("generation", .integer(Int64(generation))),
      ("configDirectory", .string(configuration.directory)),
      ("runtimeDirectory", .string(configuration.runtimeDirectory)),
      ("stateDirectory", .string(configuration.stateDirectory)),
      ("admin", .list(sockets.own("admin").map { SettingsNode(.string("\($0.address)")) })),
      ("lastReload", reload.value),
      ("workers", .list(configuration.workers.map { document(of: $0, now) })))
  }

  private func document(of worker: WorkerManifest, _ now: MonotonicInstant) -> SettingsNode {
    let sockets = worker.sockets.map { socket in
      SettingsNode.Entry(
        key: socket.name,
        node: SettingsNode(.list(addresses(of: socket, worker).map { SettingsNode(.string("\($0)")) })))
    }
    return .section(
      ("name", .string(worker.name)),
      ("required", .boolean(worker.required)),
      ("sockets", .section(sockets)),
      ("instances", .list(ordered.filter { $0.id.worker == worker.name }.map { document(of: $0, now) })))
  }

  private func document(of instance: Instance, _ now: MonotonicInstant) -> SettingsNode {
    let state = instance.state
    func seconds(_ duration: Duration?) -> SettingsNode.Value { duration.map { .number($0.rounded) } ?? .null }
    return .section(
      ("slot", .integer(Int64(instance.id.slot))),
      ("place", .integer(Int64(instance.place))),
      ("role", .string(instance.role.rawValue)),
      ("state", .string(state.phase.rawValue)),
      ("outdated", .boolean(instance.role == .serving && instance.isOutdated)),
      ("pid", instance.process.map { .integer(Int64($0.pid)) } ?? .null),
      ("uptime", seconds(state.startedAt.map { now - $0 })),
      ("readyAfter", seconds(instance.readyAfter)),
      ("restarts", .integer(Int64(instance.restarts.values.reduce(0, +)))),
      ("lastEnding", instance.lastEnding.map { .string("\($0)") } ?? .null),
      ("restartIn", state.phase == .waiting ? seconds(state.deadline.map { max(.zero, $0 - now) }) : .null),
      ("status", instance.status.map { .string($0) } ?? .null))
  }
}

extension SettingsNode {
  /// A section written down in place.
  static func section(_ entries: (String, Value)...) -> SettingsNode {
    SettingsNode(.section(entries.map { Entry(key: $0.0, node: SettingsNode($0.1)) }))
  }
}
