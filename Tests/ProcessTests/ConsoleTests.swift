import AvaloClient
import AvaloCore
import AvaloKeys
import AvaloTesting
import Foundation
import Testing

/// The console's own process beside a whole server: what an operator does with it, in one go.
@Suite(.timeLimit(.minutes(4))) struct ConsoleTests {
  /// A browser without a screen.
  private struct Visitor {
    let host: String
    let port: Int
    var cookie: String?

    func get(_ path: String) async throws -> HTTPExchange.Answer {
      try await HTTPExchange.send(
        "GET", path, to: .internet(host: host, port: port), headers: cookie.map { ["Cookie": $0] } ?? [:],
        within: .seconds(60))
    }

    mutating func signIn(_ key: String) async throws -> HTTPExchange.Answer {
      let answer = try await HTTPExchange.send(
        "POST", "/api/login", to: .internet(host: host, port: port), headers: ["Content-Type": "application/json"],
        body: #"{"key":"\#(key)"}"#, within: .seconds(60))
      cookie = answer.headers["set-cookie"].map { String($0.prefix { $0 != ";" }) }
      return answer
    }
  }

  private static func keys(_ operatorKey: APIKey, _ backend: APIKey) -> String {
    #"""
    [{"id": "mia", "name": "Mia", "hash": "\#(operatorKey.hash)", "scopes": ["console"]},
     {"id": "backend", "hash": "\#(backend.hash)", "scopes": ["publish", "read", "connections"]}]
    """#
  }

  @Test func showsAnOperatorWhatThereIs() async throws {
    var generator = SystemRandomNumberGenerator()
    let (operatorKey, backend) = (APIKey(using: &generator), APIKey(using: &generator))
    let keys = TestFolder()
    let keysFile = try keys.write(Self.keys(operatorKey, backend), to: "api-keys.json")
    let server = try await RunningServer.start(environment: [
      "AVALO_WORKERS__CONSOLE__ENABLED": "true",
      "AVALO_WORKERS__CONSOLE__SOCKETS__HTTP__LISTEN": "127.0.0.1:0",
      "AVALO_WORKERS__CONSOLE__SETTINGS__SAMPLE_INTERVAL": "1s",
      "AVALO_WORKERS__GATEWAY__SETTINGS__API_KEYS_FILE": keysFile,
    ])
    let (host, port) = try await server.process.address(of: "http", worker: "console")
    var visitor = Visitor(host: host, port: port)

    // The page is for everybody who reaches it, what it shows is not.
    let page = try await visitor.get("/")
    #expect(page.status == 200 && page.body.contains("<title>Avalo console</title>"))
    #expect(page.headers["content-security-policy"]?.hasPrefix("default-src 'none'; script-src 'self'") == true)
    #expect(try await visitor.get("/console.mjs").headers["content-type"] == "text/javascript; charset=utf-8")
    #expect(try await visitor.get("/api/overview").status == 401)
    #expect(try await visitor.signIn("avk_wrong").status == 401)
    #expect(try await visitor.signIn(backend.text).status == 401, "a key without the scope")
    let signedIn = try await visitor.signIn(operatorKey.text)
    #expect(signedIn.status == 200 && signedIn.body == #"{"name":"Mia","key":"mia"}"#)
    #expect(signedIn.headers["set-cookie"]?.hasSuffix("; HttpOnly; SameSite=Strict") == true)

    // What there is: state and usage of each worker, people, a topic.
    let ann = try await server.connect("ann", device: "phone")
    _ = try await CallableClient(server.endpoint, credential: backend.text).call(
      "publishRealtimeEvent",
      JSONText(validating: #"{"type":"notification","targetUserId":"ann","eventId":"e1","payload":{"n":1}}"#))
    try await waitUntil("the figures of all workers are there") { [visitor] in
      let overview = try await visitor.get("/api/overview").body
      return ["gateway.0", "presence.0", "scheduler.0", "console.0"].allSatisfy {
        overview.contains(#""\#($0)":{"memoryBytes":"#)
      } && overview.contains(/"id":"connections".{0,60}"values":\[[^\]]*1\]/)
    }
    let overview = try await visitor.get("/api/overview")
    #expect(overview.body.contains(#""ready":true"#) && overview.headers["cache-control"] == "no-store")
    let connections = try await visitor.get("/api/connections?user=ann")
    #expect(connections.status == 200 && connections.body.contains(ann.ready.connectionID), "\(connections.body)")
    #expect(try await visitor.get("/api/connections").body.contains(#""userId":"ann""#))
    #expect(try await visitor.get("/api/presence?user=ann,bob").body.contains(#""ann":{"status":"online""#))
    #expect(try await visitor.get("/api/presence").body.contains(#""userId":"ann""#))
    let topic = try await visitor.get("/api/topic?name=user:ann")
    #expect(topic.status == 200 && topic.body.contains(#""eventId":"e1""#), "\(topic.body)")
    #expect(try await visitor.get("/api/topic?name=user:nobody").status == 404)
    let traced = try await visitor.get("/api/trace?event=e1&user=ann")
    #expect(traced.body.contains(#""topic":"user:ann","offset":1,"state":"kept","owner":"backend""#), "\(traced.body)")
    #expect(traced.body.contains(#""user":"ann","device":"phone","outcome":"w"#), "\(traced.body)")
    #expect(try await visitor.get("/api/trace?user=ann").body.contains(#""offset":1,"eventId":"e1""#))

    // A worker dies, and is told so until it is back.
    let pid = try #require(try await server.process.pid(of: "presence"))
    kill(pid, SIGKILL)
    try await waitUntil("the death is told") { [visitor] in
      try await visitor.get("/api/overview").body.contains(
        /"name":"presence".{0,400}"restarts":1,"lastEnding":"[^"]*(?:KILL|9)[^"]*"/)
    }

    // A key that is taken away looks no longer.
    try keys.write(Self.keys(backend, operatorKey), to: "api-keys.json")
    #expect(try await server.process.control("POST", "/reload").status == 200)
    try await waitUntil("the session has ended") { [visitor] in
      try await visitor.get("/api/overview").status == 401
    }
    #expect(
      try await server.process.metric(#"avalo_console_logins_total{worker="console",slot="0",result="success"}"#) == 1)
    #expect(
      try await server.process.metric(#"avalo_console_logins_total{worker="console",slot="0",result="refused"}"#) == 2)
    ann.close()
    try await server.stop()
  }
}
