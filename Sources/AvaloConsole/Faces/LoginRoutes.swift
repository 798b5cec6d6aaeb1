import AvaloCore
import AvaloSystem

/// Signing in and out.
///
///     POST /api/login    {"key": "avk_…"}: 200 {"name", "key"} and a cookie; 401, 429, 503
///     POST /api/logout   ends it
///     GET  /api/session  200 {"name", "key"} for who is signed in, else 401
struct LoginRoutes: Sendable {
  static let cookie = "avalo_console"

  let access: Access
  let settings: SharedSettings

  func add(to routes: HTTPRoutes) {
    routes.add("POST", "/api/login") { request in PageFiles.guarded(await signIn(request)) }
    routes.add("POST", "/api/logout") { request in PageFiles.guarded(await signOut(request)) }
    routes.add("GET", "/api/session") { request in
      guard let holder = await access.holder(of: LoginRoutes.token(request)) else {
        return PageFiles.guarded(LoginRoutes.notSignedIn)
      }
      return PageFiles.guarded(.json(LoginRoutes.document(holder)))
    }
  }

  static let notSignedIn = refusal(401, "Sign in first.")

  static func refusal(_ status: Int, _ message: String) -> HTTPResponse {
    var json = JSONWriter()
    json.object { $0.member("error", message) }
    return .json(json.bytes, status: status)
  }

  /// Whether another site's page asks, as far as the browser says so (Fetch Metadata): the cookie is kept from those
  /// anyway, by `SameSite=Strict`.
  static func isForeign(_ request: HTTPRequest) -> Bool {
    guard let site = request.headers["Sec-Fetch-Site"] else { return false }
    // `none`: typed by a person.
    return site != "same-origin" && site != "none"
  }

  private func signIn(_ request: HTTPRequest) async -> HTTPResponse {
    guard !LoginRoutes.isForeign(request), LoginRoutes.isJSON(request) else {
      return LoginRoutes.refusal(403, "Sign in on this page.")
    }
    guard let key = LoginRoutes.key(request.body) else {
      return LoginRoutes.refusal(400, #"Expected {"key": "avk_…"}."#)
    }
    switch await access.signIn(key) {
    case .done(let token, let holder):
      var response = HTTPResponse.json(LoginRoutes.document(holder))
      response.headers["Set-Cookie"] = setCookie(token, seconds: settings.current.sessionTime.milliseconds / 1000)
      return response
    case .refused: return LoginRoutes.refusal(401, "There is no such key of the scope console.")
    case .tooMany(let wait):
      let seconds = (wait.milliseconds + 999) / 1000
      var response = LoginRoutes.refusal(429, "Too many attempts failed; try again in \(seconds) s.")
      response.headers["Retry-After"] = "\(seconds)"
      return response
    case .unavailable(let reason): return LoginRoutes.refusal(503, reason)
    }
  }

  private func signOut(_ request: HTTPRequest) async -> HTTPResponse {
    guard !LoginRoutes.isForeign(request) else { return LoginRoutes.refusal(403, "Sign out on this page.") }
    if let token = LoginRoutes.token(request) { await access.signOut(token) }
    var response = HTTPResponse(status: 204)
    response.headers["Set-Cookie"] = setCookie("", seconds: 0)
    return response
  }

  private func setCookie(_ token: String, seconds: Int64) -> String {
    "\(LoginRoutes.cookie)=\(token); Path=/; Max-Age=\(seconds); HttpOnly; SameSite=Strict"
      + (settings.current.secureCookie ? "; Secure" : "")
  }

  // MARK: Reading

  /// The cookie's value (RFC 6265 §4.2); `nil` without one.
  static func token(_ request: HTTPRequest) -> String? {
    for field in request.headers where field.name.lowercased() == "cookie" {
      for pair in field.value.split(separator: ";") {
        let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
        if parts.count == 2, parts[0] == cookie { return String(parts[1]) }
      }
    }
    return nil
  }

  /// A form of another site cannot say so without asking first (CORS), which is not answered.
  static func isJSON(_ request: HTTPRequest) -> Bool {
    request.headers["Content-Type"]?.prefix { $0 != ";" && $0 != " " }.lowercased() == "application/json"
  }

  static func key(_ body: [UInt8]) -> String? {
    let key: String? = body.withUnsafeBytes { bytes in try? JSONView(validating: bytes)["key"]?.string }
    guard let key, !key.isEmpty, key.utf8.count <= ConsoleLimits.keyBytesMax else { return nil }
    return key
  }

  private static func document(_ holder: KeyHolder) -> [UInt8] {
    var json = JSONWriter()
    json.object {
      $0.member("name", holder.name)
      $0.member("key", holder.id)
    }
    return json.bytes
  }
}
