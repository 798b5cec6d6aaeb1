import AvaloCore
import AvaloSystem

/// What the page asks, for who is signed in. Every answer is JSON; `{"error"}` with 400 for a question that makes no
/// sense, 404 for what is not there, 503 while avalod or the worker that knows is away.
///
///     GET /api/overview?since=MS             state, workers, indicators with their points behind `since`
///     GET /api/connections?user=&cursor=     who is connected: of one user, or of everybody, page by page
///     GET /api/presence?user=ann,bob         how users are; without a user, who is online: &cursor=
///     GET /api/topic?name=&after=            a topic, and a page of its events: the last ones without `after`
///     GET /api/trace?event=&user=&topic=     what became of an event; without one, how it stands with a user
struct ViewRoutes: Sendable {
  let access: Access
  let control: ControlSocket
  let watcher: Watcher

  typealias View = @Sendable (HTTPRequest) async throws(ControlSocket.Trouble) -> [UInt8]

  func add(to routes: HTTPRoutes) {
    let overview = Overview(control: control, watcher: watcher)
    let people = People(control: control)
    let topics = Topics(control: control)
    add("/api/overview", to: routes) { request throws(ControlSocket.Trouble) in try await overview.answer(request) }
    add("/api/connections", to: routes) { request throws(ControlSocket.Trouble) in try await people.connections(request)
    }
    add("/api/presence", to: routes) { request throws(ControlSocket.Trouble) in try await people.presence(request) }
    let traces = Traces(control: control)
    add("/api/trace", to: routes) { request throws(ControlSocket.Trouble) in try await traces.answer(request) }
    add("/api/topic", to: routes) { request throws(ControlSocket.Trouble) in try await topics.answer(request) }
  }

  private func add(_ path: String, to routes: HTTPRoutes, _ view: @escaping View) {
    routes.add("GET", path) { request in PageFiles.guarded(await answer(request, view)) }
  }

  private func answer(_ request: HTTPRequest, _ view: View) async -> HTTPResponse {
    guard !LoginRoutes.isForeign(request) else { return LoginRoutes.refusal(403, "Ask on this page.") }
    guard await access.holder(of: LoginRoutes.token(request)) != nil else { return LoginRoutes.notSignedIn }
    do throws(ControlSocket.Trouble) {
      return .json(try await view(request))
    } catch {
      switch error.kind {
      case .away: return LoginRoutes.refusal(503, error.message)
      // 401 is ours to say.
      case .refused(let status): return LoginRoutes.refusal(status == 404 ? 404 : 400, error.message)
      }
    }
  }
}

extension ControlSocket.Trouble {
  /// The question makes no sense.
  static func nonsense(_ message: String) -> Self { Self(kind: .refused(400), message: message) }
}

extension HTTPRequest {
  /// A parameter that is there and not empty.
  func given(_ name: String) -> String? { parameter(name).flatMap { $0.isEmpty ? nil : $0 } }
}
