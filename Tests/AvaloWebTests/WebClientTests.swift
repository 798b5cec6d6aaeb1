import AvaloSystem
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import AvaloWeb

@Suite struct WebClientTests {
  private func with(_ routes: HTTPRoutes, _ body: (WebClient, String) async throws -> Void) async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let server = HTTPServer(routes: routes, group: group, log: Logger(label: "test"))
    let address = try #require(try await server.listen(host: "127.0.0.1", port: 0))
    let client = WebClient(group)
    do {
      try await body(client, "http://127.0.0.1:\(try #require(address.port))")
    } catch {
      Issue.record("\(error)")
    }
    await client.stop()
    await server.stop(within: .zero)
  }

  @Test func asksAndBoundsWhatItIsAnswered() async throws {
    let routes = HTTPRoutes()
    routes.add("GET", "/keys") { _ in .text("here") }
    routes.add("GET", "/moved") { _ in HTTPResponse(status: 302, headers: ["Location": "/keys"]) }
    routes.add("GET", "/large") { _ in HTTPResponse(body: [UInt8](repeating: 0x20, count: 5000)) }
    routes.add("POST", "/long") { _ in
      HTTPResponse(status: 503, headers: ["Retry-After": "7"], body: [UInt8](repeating: 0x20, count: 5000))
    }
    routes.add("GET", "/slow") { _ in
      // Ends when the client has gone.
      try? await Task.sleep(for: .seconds(60))
      return .text("late")
    }
    routes.add("POST", "/ask") { request in
      .text("\(request.headers["X-Signature"] ?? "") \(String(decoding: request.body, as: UTF8.self))", status: 201)
    }
    try await with(routes) { client, url in
      #expect(
        try await client.get("\(url)/keys", within: .seconds(5), bytesMax: 100)
          == WebClient.Answer(status: 200, body: Array("here\n".utf8)))
      #expect(try await client.get("\(url)/none", within: .seconds(5), bytesMax: 100).status == 404)
      // A redirect is no answer: it could lead anywhere.
      #expect(try await client.get("\(url)/moved", within: .seconds(5), bytesMax: 100).status == 302)
      let posted = try await client.post(
        "\(url)/ask", headers: [("X-Signature", "s")], body: Array("{}".utf8), within: .seconds(5), bytesMax: 100)
      #expect(posted == WebClient.Answer(status: 201, body: Array("s {}\n".utf8)))
      let short = try await client.post(
        "\(url)/long", headers: [], body: Array("{}".utf8), within: .seconds(5), bytesMax: 4999, ignoresLongBody: true)
      #expect(short == WebClient.Answer(status: 503, body: [], retryAfter: "7"))
      await #expect(throws: (any Error).self) {
        try await client.get("\(url)/large", within: .seconds(5), bytesMax: 4999)
      }
      await #expect(throws: (any Error).self) {
        try await client.get("\(url)/slow", within: .milliseconds(100), bytesMax: 100)
      }
    }
  }

  /// Of an answer that stalls, the head has come.
  @Test(.timeLimit(.minutes(1))) func waitsNoLongerForABodyThanForAHead() async throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let server = try await ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"
          channel.writeAndFlush(ByteBuffer(string: head), promise: nil)
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let url = "http://127.0.0.1:\(try #require(server.localAddress?.port))/"
    let client = WebClient(group)
    await #expect(throws: (any Error).self) { try await client.get(url, within: .milliseconds(300), bytesMax: 9999) }
    let posted = try await client.post(
      url, headers: [], body: [], within: .milliseconds(300), bytesMax: 9999, ignoresLongBody: true)
    #expect(posted == WebClient.Answer(status: 200, body: []))
    await client.stop()
    try await server.close()
  }

  @Test(arguments: [
    ("https://id.example.com/keys?a=b", true), ("http://127.0.0.1:8080/keys", true), ("http://localhost/", true),
    ("http://[::1]:80/x", true), ("http://id.example.com/keys", false), ("http://127.evil.example.com.:1@x/", false),
    ("ftp://x/", false), ("https://", false), ("https://a b/", false), ("https://user@host/", false),
    ("http://localhost.example.com/", false), ("", false), ("http://127.1.2.3/", true), ("https://a:8443", true),
    ("http://127.evil.example.com/x", false), ("http://127.0.0.1.evil.example.com/x", false),
    ("http://127.0.0.256/", false),
    ("http://127.0.0.1:abc/", false), ("http://localhost:99999/", false), ("https://a:0/", false),
    ("https://:443/", false),
    ("http://[::1]x/", false), ("http://127.0.0.+1/", false),
  ]) func knowsWhichURLsItMayAsk(url: String, isOne: Bool) {
    #expect(WebClient.isURL(url) == isOne)
  }
}
