import AvaloCore
import AvaloReactor
import AvaloSystem
import NIOCore
import Testing

@testable import AvaloGateway

/// Which pages may read our answers, and which may open a connection, by their origin.
@Suite struct CORSTests {
  private static let settings = #""cors":{"origins":["https://app.example.com"]}"#
  private static let ours = "https://app.example.com"

  /// Each function, good and bad, by both forms of its URL, and everything that is none.
  @Test(arguments: [(ours, true), ("https://evil.example", false), ("null", false)])
  func everyPathAnswersAPageOfOurs(origin: String, isOurs: Bool) async throws {
    let fixture = try await HTTPFixture(Self.settings)
    let header = "Origin: \(origin)\r\n"
    var requests: [(what: String, request: String, status: Int?)] = []
    for name in CallTable.names {
      let path = "demo/us-central1/\(name)"
      let denied = fixture.request(name, #"{"data":null}"#, headers: header).replacing(fixture.key, with: "avk_x")
      requests += [
        ("\(name) as it is called", fixture.request(path, #"{"data":{}}"#, headers: header), nil),
        ("\(name) without data", fixture.request(name, "{}", headers: header), 400),
        ("\(name) as another type", fixture.request(name, "x", headers: header, type: "text/plain"), 400),
        ("\(name) with a wrong key", denied, 401),
        ("GET /\(name)", Self.get("/\(name)", header), 405),
        ("DELETE /\(name)", Self.get("/\(name)", header).replacing("GET", with: "DELETE"), 405),
        ("OPTIONS /\(path)", Self.get("/\(path)", header).replacing("GET", with: "OPTIONS"), 204),
      ]
    }
    requests += [
      ("GET /healthz", Self.get("/healthz", header), 200),
      ("POST /healthz", Self.get("/healthz", header).replacing("GET", with: "POST"), 405),
      ("POST /events", Self.get("/events", header).replacing("GET", with: "POST"), 405),
      ("GET /nothing", Self.get("/nothing", header), 404), ("GET /", Self.get("/", header), 404),
      ("OPTIONS *", Self.get("*", header).replacing("GET", with: "OPTIONS"), 204),
      ("GET /ws", Self.get("/ws", header), 426),
      // These end their connection: one each, at the end.
      ("no Host", "GET /healthz HTTP/1.1\r\n\(header)\r\n", 400),
    ]
    for (what, request, status) in requests {
      let answer = try #require(try fixture.exchange(request).first, "\(what)")
      #expect(answer.header("Access-Control-Allow-Origin") == (isOurs ? origin : nil), "\(what)")
      #expect(answer.header("Vary") == "Origin", "\(what)")
      if let status { #expect(answer.status == status, "\(what)") }
      if answer.status >= 400 { #expect(answer.error != nil, "\(what)") }
    }
  }

  @Test(arguments: [
    ("GET /events HTTP/1.1\r\nHost: h\r\n\r\n", 401), ("GET /events?ticket=x HTTP/1.1\r\nHost: h\r\n\r\n", 401),
    ("GET /events?platform=%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("POST /realtimePingV1 HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n", 400),
    ("GET /\(String(repeating: "x", count: 9000)) HTTP/1.1\r\nHost: h\r\n\r\n", 404),
  ])
  func answersThatEndTheirConnectionAreReadableToo(request: String, status: Int) async throws {
    let fixture = try await HTTPFixture(Self.settings)
    let answers = try fixture.exchange(request.replacing("Host: h\r\n", with: "Host: h\r\nOrigin: \(Self.ours)\r\n"))
    #expect(answers.map(\.status) == [status])
    #expect(answers[0].header("Access-Control-Allow-Origin") == Self.ours)
    #expect(answers[0].header("Vary") == "Origin")
  }

  /// What the parser gives up before it has come to the origin; here both come at once.
  @Test(arguments: [
    ("BREW /getPresenceV1 HTTP/1.1\r\nHost: h\r\nORIGIN:\(ours)\r\n\r\n", ours as String?),
    ("POST / HTTP/1.1\r\nHost: h\r\nOrigin: \(ours)\r\nContent-Length: -1\r\n\r\n", ours),
    ("POST / HTTP/1.1\r\nOrigin: \(ours)\r\nX: \(String(repeating: "y", count: 40_000))\r\n\r\n", ours),
    ("BREW / HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\n\r\n", nil),
    ("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", nil), ("BREW", nil),
  ])
  func whatIsNoRequestIsReadableToo(text: String, origin: String?) async throws {
    let fixture = try await HTTPFixture(Self.settings)
    _ = try? fixture.channel.writeInbound(ByteBuffer(string: text))
    try? fixture.channel.finish(acceptAlreadyClosed: true)
    let answer = Answers(try fixture.received().text)[0]
    #expect(answer.status == 400 || text == "BREW")
    #expect(answer.header("Access-Control-Allow-Origin") == origin)
  }

  @Test func aHeadThatIsTooLongForItsOriginToComeIsReadableToAllOrNobody() {
    let long = Array(("GET /" + String(repeating: "x", count: 20_000)).utf8)
    func headers(_ origins: String...) -> [String] {
      long.withUnsafeBytes { CORSPolicy(CORSSettings(origins: origins)).headers(toRefusalOf: $0) }
        .map { "\($0): \($1)" }
    }
    #expect(headers(Self.ours) == ["Vary: Origin"])
    #expect(headers("*") == ["Vary: Origin", "Access-Control-Allow-Origin: *"])
  }

  private static func get(_ path: String, _ header: String) -> String {
    "GET \(path) HTTP/1.1\r\nHost: h\r\n\(header)Content-Length: 0\r\n\r\n"
  }

  // MARK: Connections

  private static let origins: [(String?, Bool)] = [
    (nil, true), (ours, true), ("https://evil.example", false), ("http://app.example.com", false), ("null", false),
    ("", false),
  ]

  /// Without an origin it is no browser's.
  @Test(arguments: origins) func aPageOfAnotherOriginOpensNoWebSocket(origin: String?, isOurs: Bool) async throws {
    let folder = try TemporaryFolder()
    let access = SharedAccess(try await makeAccess(Self.settings, folder: folder))
    let policy = UpgradePolicy(access: access)
    switch policy.decide(UpgradeRequest(path: "/ws", origin: origin)) {
    case .accept: #expect(isOurs)
    case .refuse(let status, let headers, let body):
      #expect(!isOurs && status == 403)
      #expect(headers.contains { $0 == ("Vary", "Origin") } && headers.count == 2)
      #expect(body.contains("pages of this origin may not connect: it is not among cors.origins"))
    }
  }

  @Test(arguments: origins) func norAStream(origin: String?, isOurs: Bool) async throws {
    let fixture = try await HTTPFixture(Self.settings)
    let header = origin.map { "Origin: \($0)\r\n" } ?? ""
    let answer = try fixture.exchange("GET /events HTTP/1.1\r\nHost: h\r\n\(header)\r\n")[0]
    #expect(answer.status == (isOurs ? 401 : 403))
    #expect(
      isOurs
        || answer.error
          == "PERMISSION_DENIED: pages of this origin may not listen: it is not among cors.origins"
    )
  }

  /// What is wrong with a streamed call is told in-band.
  @Test(arguments: origins) func norAStreamedCall(origin: String?, isOurs: Bool) async throws {
    let fixture = try await HTTPFixture(Self.settings)
    let token = try await userToken("ann")
    let header = origin.map { "Origin: \($0)\r\n" } ?? ""
    let request = fixture.request(
      "subscribeToRealtimeEventsV1", #"{"data":{"subscriptions":["user:bob"]}}"#,
      headers: "\(header)Accept: text/event-stream\r\n"
    ).replacing(fixture.key, with: token)
    let body = try fixture.exchange(request)[0].body
    #expect(body.contains("pages of this origin may not listen") == !isOurs, "\(body)")
  }
}
