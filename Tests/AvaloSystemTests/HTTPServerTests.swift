import Glibc
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import AvaloSystem

@Suite struct HTTPServerTests {
  /// A server on a Unix socket in a folder of its own, gone afterwards.
  private func withServer(
    _ bounds: HTTPServer.Bounds = .init(), _ routes: (HTTPRoutes) -> Void,
    _ body: (String, HTTPServer) async throws -> Void
  ) async throws {
    var template = Array("/tmp/avalo-http.XXXXXX".utf8CString)
    let folder = String(cString: try #require(mkdtemp(&template)))
    defer { rmdir(folder) }
    let path = folder + "/s"
    let table = HTTPRoutes()
    routes(table)
    let server = HTTPServer(
      routes: table, group: MultiThreadedEventLoopGroup.singleton, bounds: bounds,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await server.listen(unixSocket: path)
    defer { unlink(path) }
    do {
      try await body(path, server)
      await server.stop(within: .seconds(1))
    } catch {
      await server.stop(within: .zero)
      throw error
    }
  }

  /// Sends raw bytes and answers everything until the server closes.
  private func exchange(_ path: String, _ text: String, shutdownWriting: Bool = false) async throws -> String {
    let peer = try await Peer.connect(path)
    // The server may have refused and closed before all was written.
    await peer.send(text)
    if shutdownWriting { await peer.shutdownWriting() }
    return await peer.readAll()
  }

  @Test func answersByPathAndPrefixAndSaysWhoAsks() async throws {
    try await withServer { routes in
      routes.add("GET", "/hello") { request in
        .text("\(request.parameter("name") ?? "-") \(request.peerUserID.map(String.init) ?? "nobody")")
      }
      routes.add("POST", "/echo") { HTTPResponse(status: 201, headers: ["X-A": "b"], body: $0.body) }
      routes.add(prefix: "/workers/") { .text("\($0.method) \($0.path)") }
      routes.add(prefix: "/workers/deep/") { .text("deep \($0.path)") }
    } _: { path, _ in
      let hello = try await HTTPClient.get(unixSocket: path, path: "/hello?name=a%20b", timeout: .seconds(5))
      #expect(hello.status == 200 && hello.body == Array("a b \(getuid())\n".utf8))
      let echo = try await HTTPClient.send(
        HTTPRequest(method: "POST", path: "/echo", body: Array("xyz".utf8)), unixSocket: path, timeout: .seconds(5))
      #expect(echo.status == 201 && echo.body == Array("xyz".utf8) && echo.headers["x-a"] == "b")
      let prefix = try await HTTPClient.send(
        HTTPRequest(method: "DELETE", path: "/workers/x/y"), unixSocket: path, timeout: .seconds(5))
      #expect(prefix.body == Array("DELETE /workers/x/y\n".utf8))
      let deep = try await HTTPClient.get(unixSocket: path, path: "/workers/deep/z", timeout: .seconds(5))
      #expect(deep.body == Array("deep /workers/deep/z\n".utf8))
      #expect(try await HTTPClient.get(unixSocket: path, path: "/none", timeout: .seconds(5)).status == 404)
      let wrong = try await HTTPClient.get(unixSocket: path, path: "/echo", timeout: .seconds(5))
      #expect(wrong.status == 405 && wrong.headers["Allow"] == "POST")
      try await #expect(
        exchange(path, "HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").hasSuffix("\r\n\r\n"))
    }
  }

  @Test func keepsTheConnectionAndAnswersPipelinedRequestsInOrder() async throws {
    try await withServer { routes in
      routes.add("GET", "/slow") { _ in
        await Task.yield()
        return .text("slow")
      }
      routes.add("GET", "/fast") { _ in .text("fast") }
    } _: { path, _ in
      let answers = try await exchange(
        path,
        "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /fast HTTP/1.1\r\nHost: x\r\n\r\n"
          + "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      let bodies = answers.split(whereSeparator: \.isNewline).filter { $0 == "slow" || $0 == "fast" }
      #expect(bodies == ["slow", "fast", "slow"])
      #expect(answers.contains("keep-alive"))
    }
  }

  @Test func aClientMayShutItsSideDownBeforeTheAnswer() async throws {
    try await withServer {
      $0.add("GET", "/") { _ in .text("still answered") }
    } _: { path, _ in
      try await #expect(
        exchange(path, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", shutdownWriting: true).contains("still answered"))
    }
  }

  @Test func refusesWhatIsTooLargeOrNoRequest() async throws {
    var bounds = HTTPServer.Bounds()
    bounds.bodyBytesMax = 10
    try await withServer(bounds) {
      $0.add("POST", "/") { _ in .text("ok") }
    } _: { path, _ in
      try await #expect(
        exchange(path, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n").hasPrefix("HTTP/1.1 413"))
      try await #expect(
        exchange(
          path,
          "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n"
        ).hasPrefix("HTTP/1.1 413"))
      let long = String(repeating: "a", count: SystemLimits.httpHeadBytesMax * 2)
      try await #expect(exchange(path, "GET / HTTP/1.1\r\nX: \(long)\r\n\r\n").hasPrefix("HTTP/1.1 431"))
      try await #expect(exchange(path, "nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400"))
      try await #expect(exchange(path, "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n").hasPrefix("HTTP/1.1 400"))
    }
  }

  @Test(.timeLimit(.minutes(1))) func boundsTheTimeOfARequest() async throws {
    var bounds = HTTPServer.Bounds()
    bounds.readTimeMax = .milliseconds(100)
    bounds.answerTimeMax = .milliseconds(100)
    try await withServer(bounds) { routes in
      routes.add("GET", "/") { _ in .text("here") }
      routes.add("GET", "/hang") { _ in
        try? await Task.sleep(for: .seconds(3600))
        return .text("too late")
      }
    } _: { path, _ in
      try await #expect(exchange(path, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n").hasPrefix("HTTP/1.1 503"))
      // A body that never comes, and a head that never ends.
      try await #expect(exchange(path, "POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n") == "")
      let half = try await Peer.connect(path)
      await half.send("GET /met")
      #expect(await half.seesTheEnd())
    }
  }

  /// Seventy half requests were enough to lock monitoring out.
  @Test(.timeLimit(.minutes(1))) func whoHoldsAConnectionForNothingMakesRoom() async throws {
    var bounds = HTTPServer.Bounds()
    bounds.connectionsMax = 2
    let gate = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Void.self)
    let (began, begin) = AsyncStream.makeStream(of: Void.self)
    try await withServer(bounds) { routes in
      routes.add("GET", "/") { _ in .text("here") }
      routes.add("GET", "/hold") { _ in
        begin.yield()
        try? await gate.futureResult.get()
        return .text("held")
      }
    } _: { path, _ in
      let ask = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      let half = try await Peer.connect(path)
      #expect(await half.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n") > 0)
      await half.send("GET /met")
      let idle = try await Peer.connect(path)
      #expect(await idle.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n") > 0)
      try await #expect(exchange(path, ask).hasPrefix("HTTP/1.1 200"))
      #expect(await half.seesTheEnd())
      // Who is being answered stays.
      let busy = [try await Peer.connect(path), try await Peer.connect(path)]
      for peer in busy { await peer.send("GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") }
      var begun = began.makeAsyncIterator()
      for _ in busy { await begun.next() }
      try await #expect(exchange(path, ask) == "")
      gate.succeed()
      for peer in busy { #expect(await peer.readAll().hasSuffix("held\n")) }
    }
  }

  @Test func stopLetsARunningRequestEnd() async throws {
    let (started, continuation) = AsyncStream.makeStream(of: Void.self)
    try await withServer { routes in
      routes.add("GET", "/") { _ in
        continuation.finish()
        await Task.yield()
        return .text("done")
      }
    } _: { path, server in
      async let answer = HTTPClient.get(unixSocket: path, path: "/", timeout: .seconds(5))
      for await _ in started {}
      await server.stop(within: .seconds(5))
      try await #expect(answer.body == Array("done\n".utf8))
      await #expect(throws: (any Error).self) {
        try await HTTPClient.get(unixSocket: path, path: "/", timeout: .seconds(1))
      }
    }
  }

  @Test func theClientBoundsWhatItTakes() async throws {
    try await withServer { routes in
      routes.add("GET", "/big") { _ in HTTPResponse(body: Array(repeating: 0x61, count: 1000)) }
      routes.add("GET", "/hang") { _ in
        try? await Task.sleep(for: .seconds(3600))
        return .text("too late")
      }
    } _: { path, _ in
      await #expect(throws: HTTPClientError.answerTooLarge) {
        try await HTTPClient.get(unixSocket: path, path: "/big", timeout: .seconds(60), bodyBytesMax: 999)
      }
      await #expect(throws: HTTPClientError.timeout) {
        try await HTTPClient.get(unixSocket: path, path: "/hang", timeout: .milliseconds(50))
      }
      await #expect(throws: (any Error).self) {
        try await HTTPClient.get(unixSocket: path + "x", path: "/", timeout: .seconds(1))
      }
    }
  }

  @Test func servesAnInheritedSocketAndLoopback() async throws {
    let routes = HTTPRoutes()
    routes.add("GET", "/") { .text($0.peerUserID == nil ? "tcp" : "unix") }
    let server = HTTPServer(
      routes: routes, group: MultiThreadedEventLoopGroup.singleton,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var loopback = sockaddr_in()
    loopback.sin_family = sa_family_t(AF_INET)
    loopback.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let bound = withUnsafePointer(to: &loopback) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    #expect(bound == 0)
    #expect(listen(descriptor, 8) == 0)
    let address = try #require(try await server.listen(descriptor: descriptor))
    loopback.sin_port = UInt16(address.port!).bigEndian
    let peer = try await Peer.connect(to: loopback)
    await peer.send("GET / HTTP/1.0\r\n\r\n")
    await #expect(peer.readAll().hasSuffix("tcp\n"))
    await server.stop(within: .seconds(1))
  }
}
