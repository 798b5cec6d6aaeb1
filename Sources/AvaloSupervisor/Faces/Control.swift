import AvaloSystem
import Glibc
import Logging

// Control: what `avaloctl` and curl ask on the control socket. Root and avalod's own user may always; others may when the
// configuration lets them open the socket, which the kernel has then checked with all their groups.
extension Supervisor {
  func controlRoutes() -> HTTPRoutes {
    let routes = HTTPRoutes()
    routes.add("GET", "/status") { request in
      await self.permitted(request) { .json(await self.statusDocument()) }
    }
    routes.add("GET", "/metrics") { request in
      await self.permitted(request) { HTTPResponse(body: await self.metricsPage()) }
    }
    routes.add("POST", "/reload") { request in
      await self.permitted(request) { await self.reloadAnswer() }
    }
    routes.add("GET", "/log-level") { request in
      await self.permitted(request) { .text(Logs.level.rawValue) }
    }
    routes.add("PUT", "/log-level") { request in
      await self.permitted(request) { await self.logLevelAnswer(request) }
    }
    routes.add(prefix: "/workers/") { request in
      await self.permitted(request) { await self.workerAnswer(request) }
    }
    return routes
  }

  private func permitted(_ request: HTTPRequest, _ body: () async -> HTTPResponse) async -> HTTPResponse {
    guard let user = request.peerUserID, user == 0 || user == geteuid() || isOpenToOthers else {
      return .text("only root and avalod's own user may ask here; control.mode can let others", status: 403)
    }
    return await body()
  }

  /// Whether the configuration, not merely the file as somebody left it, lets others write to the socket. Asked with each
  /// request: a reload that closes it also ends what was connected before.
  private var isOpenToOthers: Bool { configuration.controlMode & 0o022 != 0 }

  private func reloadAnswer() async -> HTTPResponse {
    let result = await reload()
    func list(_ texts: [String]) -> SettingsNode { SettingsNode(.list(texts.map { SettingsNode(.string($0)) })) }
    return .json(
      SettingsNode(
        .section([
          .init(key: "result", node: SettingsNode(.string(result.isSuccess ? "success" : "failure"))),
          .init(key: "inForce", node: SettingsNode(.boolean(result.isInForce))),
          .init(key: "generation", node: SettingsNode(.integer(Int64(generation)))),
          .init(key: "problems", node: list(result.problems)),
          .init(key: "notes", node: list(result.notes)),
          // A reload does not replace avalod itself.
          .init(key: "restartNeeded", node: SettingsNode(.boolean(isOutdated))),
        ])), status: result.isSuccess ? 200 : 422)
  }

  private func logLevelAnswer(_ request: HTTPRequest) async -> HTTPResponse {
    let name = String(decoding: request.body, as: UTF8.self).filter { !$0.isWhitespace }
    guard let level = Logs.level(named: name) else {
      return .text("expected debug, info, notice, warning or error, not \"\(name)\"", status: 400)
    }
    await setLogLevel(level)
    return .text(level.rawValue)
  }

  /// Ours, and that of the workers which can change theirs while they run (see docs/protocol/worker.md).
  func setLogLevel(_ level: Logger.Level) async {
    Logs.level = level
    let places = ordered.filter { $0.manifest.metrics && $0.state.isUp }.map {
      SocketTable.metricsPath(configuration, $0.id.worker, $0.id.slot)
    }
    let request = HTTPRequest(method: "PUT", path: "/log-level", body: Array(level.rawValue.utf8))
    await withTaskGroup(of: Void.self) { group in
      for place in places {
        // One that cannot keeps its level until its next start.
        group.addTask {
          _ = try? await HTTPClient.send(request, unixSocket: place, timeout: SupervisorLimits.scrapeTimeout)
        }
      }
    }
  }

  /// `/workers/NAME[.SLOT]/…`: `POST …/restart`, `/drain` and `/scale` are ours, everything else the worker's.
  private func workerAnswer(_ request: HTTPRequest) async -> HTTPResponse {
    let parts = request.path.dropFirst("/workers/".count).split(
      separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let name = parts.first.map(String.init) ?? ""
    let rest = parts.count == 2 ? "/" + parts[1] : "/"
    let named = ordered.filter { $0.id.worker == name || "\($0.id)" == name }
    // Of a worker that was drained there may be nobody, or not who is named.
    let worker =
      named.first?.id.worker ?? [name, Supervisor.worker(ofSlot: name)].first { configuration.worker($0) != nil }
    guard let worker else {
      let nearest = EditDistance.nearest(to: name, among: Set(configuration.workers.map(\.name)))
      return .text("there is no worker \"\(name)\"" + (nearest.map { "; did you mean \"\($0)\"?" } ?? ""), status: 404)
    }
    if ["/restart", "/drain", "/scale"].contains(rest) {
      guard request.method == "POST" else { return .text("\(rest) takes POST", status: 405) }
      if rest == "/scale" { return await scaleAnswer(name, request.body) }
      if rest == "/restart", !named.isEmpty || closedPlaces[worker] != nil {
        return await restartAnswer(named, named.isEmpty ? worker : name)
      }
      if rest == "/drain", !named.isEmpty { return await drainAnswer(named) }
    }
    guard !named.isEmpty else { return .text(nobody(name, of: worker), status: 404) }
    return await forward(request, to: named, path: rest)
  }

  /// `gateway` for `gateway.3`.
  private static func worker(ofSlot name: String) -> String {
    guard let dot = name.lastIndex(of: "."), Int(name[name.index(after: dot)...]) != nil else { return name }
    return String(name[..<dot])
  }

  /// A replacement has another slot than whom it replaced: who is there is said.
  private func nobody(_ name: String, of worker: String) -> String {
    let there = serving(worker).map { "\($0.id)" }
    return there.isEmpty
      ? "\(worker) was drained; it serves again after: avaloctl workers restart \(worker)"
      : "there is no \(name); there \(there.count == 1 ? "is" : "are") \(there.joined(separator: ", "))"
  }

  private func restartAnswer(_ instances: [Instance], _ name: String) async -> HTTPResponse {
    log.notice("restart asked", metadata: ["workers": "\(name)"])
    let ids = instances.filter { $0.role == .serving }.map(\.id)
    let problems = await exclusively { supervisor in
      guard let worker = supervisor.configuration.worker(name) else { return await supervisor.renew(ids) }
      switch supervisor.openClosedPlaces(of: worker) {
      case .failure(let refused): return refused.errors.map { "\($0.owner): \($0)" }
      case .success(let opened):
        let problems = await supervisor.renew(ids)
        await supervisor.until { supervisor in
          supervisor.phase == .stopping || opened.allSatisfy { supervisor.phase(of: $0) != .starting }
        }
        return problems
          + opened.filter { supervisor.instances[$0]?.state.isUp != true }.map {
            "\($0) did not become ready; see the log"
          }
      }
    }
    return problems.isEmpty ? .text("restarted") : .text(problems.joined(separator: "\n"), status: 503)
  }

  private func drainAnswer(_ instances: [Instance]) async -> HTTPResponse {
    let worker = instances[0].id.worker
    guard instances[0].manifest.overlap else {
      return .text("\(worker) has nobody to send on: its manifest has no overlap: true", status: 409)
    }
    let ids = instances.filter { $0.role == .serving }.map(\.id)
    log.notice("drain asked", metadata: ["workers": "\(ids.map(\.description).joined(separator: " "))"])
    let problems = await exclusively { await $0.closePlaces(of: ids) }
    return problems.isEmpty
      ? .text("drained; it serves again after: avaloctl workers restart \(worker)")
      : .text(problems.joined(separator: "\n"), status: 503)
  }

  /// The body is the number.
  private func scaleAnswer(_ name: String, _ body: [UInt8]) async -> HTTPResponse {
    guard configuration.worker(name) != nil else { return .text("name the worker, not one instance", status: 400) }
    let text = String(decoding: body, as: UTF8.self).filter { !$0.isWhitespace }
    guard let number = Int(text), (1...SupervisorLimits.instancesMax).contains(number) else {
      return .text("expected a number of 1 to \(SupervisorLimits.instancesMax), not \"\(text)\"", status: 400)
    }
    let problems = await exclusively { await $0.scale(name, to: number) }
    guard problems.isEmpty else { return .text(problems.joined(separator: "\n"), status: 503) }
    let holds =
      askedNumbers[name].map {
        "; the configured number is \($0.configured), and holds again when avalod is started anew"
      }
      ?? ""
    return .text("\(name) has \(number) instance\(number == 1 ? "" : "s")\(holds)")
  }

  private func forward(_ request: HTTPRequest, to instances: [Instance], path: String) async -> HTTPResponse {
    guard instances.contains(where: \.manifest.metrics) else {
      return .text("\(instances[0].id.worker) answers no requests: its manifest has no metrics: true", status: 404)
    }
    guard let instance = instances.first(where: \.state.isUp) else {
      return .text("\(instances[0].id) is \(instances[0].state.phase)", status: 503)
    }
    var forwarded = request
    forwarded.path = path
    let socket = SocketTable.metricsPath(configuration, instance.id.worker, instance.id.slot)
    let id = instance.id
    do {
      return try await HTTPClient.send(forwarded, unixSocket: socket, timeout: SupervisorLimits.forwardTimeout)
    } catch {
      return .text("\(id) did not answer: \(error)", status: 504)
    }
  }
}
