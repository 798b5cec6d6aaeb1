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
    let problems = SettingsNode(.list(result.problems.map { SettingsNode(.string($0)) }))
    return .json(
      SettingsNode(
        .section([
          .init(key: "result", node: SettingsNode(.string(result.isSuccess ? "success" : "failure"))),
          .init(key: "generation", node: SettingsNode(.integer(Int64(generation)))),
          .init(key: "problems", node: problems),
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

  /// `/workers/NAME[.SLOT]/…`: `POST …/restart` is ours, everything else the worker's.
  private func workerAnswer(_ request: HTTPRequest) async -> HTTPResponse {
    let parts = request.path.dropFirst("/workers/".count).split(
      separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let name = parts.first.map(String.init) ?? ""
    let rest = parts.count == 2 ? "/" + parts[1] : "/"
    let named = ordered.filter { $0.id.worker == name || "\($0.id)" == name }
    guard !named.isEmpty else {
      let nearest = EditDistance.nearest(to: name, among: Set(ordered.map(\.id.worker)))
      return .text("there is no worker \"\(name)\"" + (nearest.map { "; did you mean \"\($0)\"?" } ?? ""), status: 404)
    }
    if rest == "/restart" {
      guard request.method == "POST" else { return .text("/restart takes POST", status: 405) }
      return await restartAnswer(named)
    }
    return await forward(request, to: named, path: rest)
  }

  private func restartAnswer(_ instances: [Instance]) async -> HTTPResponse {
    log.notice("restart asked", metadata: ["workers": "\(instances.map { "\($0.id)" }.joined(separator: " "))"])
    let problems = await roll(instances.map(\.id))
    return problems.isEmpty ? .text("restarted") : .text(problems.joined(separator: "\n"), status: 503)
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
