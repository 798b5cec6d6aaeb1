import AvaloSystem
import Testing

@testable import AvaloConsole

@Suite(.timeLimit(.minutes(2))) struct LoginRoutesTests {
  private let clock = ManualClock()

  private func routes(_ player: ControlPlayer, secure: Bool = false) -> HTTPRoutes {
    let node = SettingsNode(.section([.init(key: "secure_cookie", node: SettingsNode(.boolean(secure)))]))
    let settings = SharedSettings(SettingsReader.read(node) { ConsoleSettings(&$0) }.result)
    let routes = HTTPRoutes()
    PageFiles.add(to: routes)
    let access = player.access(clock: clock.monotonic, settings: settings)
    LoginRoutes(access: access, settings: settings).add(to: routes)
    ViewRoutes(
      access: access, control: player.control(),
      watcher: Watcher(player.control(), clock: clock.monotonic, wall: clock.wall, log: .init(label: "console"))
    ).add(to: routes)
    return routes
  }

  private func login(_ routes: HTTPRoutes, _ body: String, _ headers: HTTPFields = [:]) async -> HTTPResponse {
    var fields = headers
    if fields["Content-Type"] == nil { fields["Content-Type"] = "application/json" }
    return await routes.answer(
      HTTPRequest(method: "POST", path: "/api/login", headers: fields, body: Array(body.utf8)))
  }

  @Test func givesAStrictCookieForTheRightKey() async throws {
    let player = try await ControlPlayer()
    player.know(key: "avk_x")
    let routes = routes(player)
    let answer = await login(routes, #"{"key":"avk_x"}"#, ["Sec-Fetch-Site": "same-origin"])
    #expect(answer.status == 200 && answer.body == Array(#"{"name":"Mia","key":"mia"}"#.utf8))
    let cookie = try #require(answer.headers["Set-Cookie"])
    #expect(
      cookie.contains(/^avalo_console=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/), "\(cookie)")
    let token = String(cookie.prefix { $0 != ";" })

    func ask(_ path: String, _ method: String = "GET") async -> HTTPResponse {
      await routes.answer(HTTPRequest(method: method, path: path, headers: ["Cookie": "a=b; \(token)"]))
    }
    #expect(await ask("/api/session").body == Array(#"{"name":"Mia","key":"mia"}"#.utf8))
    let out = await ask("/api/logout", "POST")
    #expect(out.status == 204 && out.headers["Set-Cookie"]?.contains("Max-Age=0") == true)
    #expect(await ask("/api/session").status == 401)
    await player.stop()
  }

  @Test func marksTheCookieSecureBehindTLS() async throws {
    let player = try await ControlPlayer()
    player.know(key: "avk_x")
    let answer = await login(routes(player, secure: true), #"{"key":"avk_x"}"#)
    #expect(answer.headers["Set-Cookie"]?.hasSuffix("; Secure") == true)
    await player.stop()
  }

  @Test func refusesWhatIsNoKeyAndWhatComesFromElsewhere() async throws {
    let player = try await ControlPlayer()
    player.know(key: "avk_x")
    let routes = routes(player)
    #expect(await login(routes, #"{"key":"avk_y"}"#).status == 401)
    for body in ["", "{}", "[]", #"{"key":5}"#, #"{"key":""}"#, #"{"key":"\#(String(repeating: "x", count: 257))"}"#] {
      #expect(await login(routes, body).status == 400, "\(body)")
    }
    #expect(await login(routes, #"{"key":"avk_x"}"#, ["Sec-Fetch-Site": "cross-site"]).status == 403)
    #expect(await login(routes, #"{"key":"avk_x"}"#, ["Sec-Fetch-Site": "same-site"]).status == 403)
    #expect(await login(routes, #"{"key":"avk_x"}"#, ["Content-Type": "text/plain"]).status == 403)
    #expect(
      await login(routes, #"{"key":"avk_x"}"#, ["Content-Type": "application/json; charset=utf-8"]).status == 200)
    for _ in 0..<ConsoleLimits.loginBurst { _ = await login(routes, #"{"key":"avk_y"}"#) }
    let late = await login(routes, #"{"key":"avk_x"}"#)
    #expect(late.status == 429 && late.headers["Retry-After"] == "6")
    await player.stop()
  }

  @Test func showsNothingToWhoIsNotSignedIn() async throws {
    let player = try await ControlPlayer()
    player.answer("/", "{}")
    let routes = routes(player)
    for path in ["session", "overview", "connections", "presence", "topic", "trace"] {
      for cookie in ["", "avalo_console=", "avalo_console=x", "other=x"] {
        let answer = await routes.answer(HTTPRequest(method: "GET", path: "/api/\(path)", headers: ["Cookie": cookie]))
        #expect(answer.status == 401, "\(path)")
      }
    }
    #expect(player.asked.withLock { $0 } == [], "nobody was asked for them")
    await player.stop()
  }

  @Test func everyAnswerTellsTheBrowserWhatThePageMayDo() async throws {
    let player = try await ControlPlayer()
    let routes = routes(player)
    let paths = ["/", "/console.mjs", "/console.css", "/nowhere", "/api/session", "/api/overview", "/../etc/passwd"]
    for path in paths {
      let answer = await routes.answer(HTTPRequest(method: "GET", path: path))
      let policy = answer.headers["Content-Security-Policy"] ?? ""
      for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        #expect(policy.contains(part), "\(path)")
      }
      #expect(!policy.contains("unsafe") && answer.headers["X-Content-Type-Options"] == "nosniff", "\(path)")
      #expect(answer.headers["Cache-Control"] == "no-store", "\(path)")
    }
    #expect(await routes.answer(HTTPRequest(method: "GET", path: "/nowhere")).status == 404)
    await player.stop()
  }

  @Test func findsItsCookieAmongOthers() {
    func token(_ cookies: String...) -> String? {
      var request = HTTPRequest(method: "GET", path: "/")
      for cookie in cookies { request.headers.add("Cookie", cookie) }
      return LoginRoutes.token(request)
    }
    #expect(token() == nil)
    #expect(token("a=b; avalo_console=x=y; c=d") == "x=y")
    #expect(token("a=b", "avalo_console=x") == "x")
    #expect(token("avalo_consoles=x") == nil && token("avalo_console") == nil && token("; ;=") == nil)
  }
}
