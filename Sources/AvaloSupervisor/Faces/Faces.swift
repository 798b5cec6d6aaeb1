import AvaloSystem
import Glibc
import Logging
import NIOPosix

// The two faces: the admin listener, for monitoring, and the control socket, for operators. Both are small HTTP servers
// on NIO's threads, whose handlers ask here.
extension Supervisor {
  func openFaces() async throws {
    let admin = HTTPServer(
      routes: adminRoutes(), group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "admin"))
    for listener in sockets.own("admin") { try await admin.listen(descriptor: try copy(of: listener)) }
    adminServer = admin

    var bounds = HTTPServer.Bounds()
    bounds.answerTimeMax = SupervisorLimits.controlAnswerTimeMax
    let control = HTTPServer(
      routes: controlRoutes(), group: MultiThreadedEventLoopGroup.singleton, bounds: bounds,
      log: Logger(label: "control"))
    for listener in sockets.own("control") { try await control.listen(descriptor: try copy(of: listener)) }
    controlServer = control
  }

  /// Serves the admin pages at their new place, and no more at the old one.
  func moveAdmin(from old: SocketTable) async {
    guard old.own("admin") != sockets.own("admin") else { return }
    let server = HTTPServer(
      routes: adminRoutes(), group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "admin"))
    do {
      for listener in sockets.own("admin") { try await server.listen(descriptor: try copy(of: listener)) }
    } catch {
      log.error("cannot serve the admin pages", metadata: ["error": "\(error)"])
    }
    let before = adminServer
    adminServer = server
    await before?.stop(within: .seconds(1))
  }

  /// The server closes what it is given; ours stays for the service manager.
  private func copy(of listener: Listener) throws(SystemError) -> Int32 {
    let descriptor = fcntl(listener.descriptor, F_DUPFD_CLOEXEC, 0)
    guard descriptor >= 0 else { throw SystemError("dup") }
    return descriptor
  }

  // MARK: Admin

  private func adminRoutes() -> HTTPRoutes {
    let routes = HTTPRoutes()
    routes.add("GET", "/metrics") { _ in await self.metricsAnswer() }
    routes.add("GET", "/healthz") { _ in await self.healthAnswer() }
    routes.add("GET", "/readyz") { _ in await self.readyAnswer() }
    return routes
  }

  private func healthAnswer() -> HTTPResponse { .text("alive") }

  private func readyAnswer() -> HTTPResponse {
    if isReady { return .text("ready") }
    if phase == .stopping { return .text("stopping", status: 503) }
    return .text((["not ready"] + missing).joined(separator: "\n"), status: 503)
  }

  private func metricsAnswer() async -> HTTPResponse {
    HTTPResponse(
      headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"], body: await metricsPage())
  }
}
