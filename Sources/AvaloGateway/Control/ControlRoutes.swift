import AvaloCore
import AvaloSystem
import NIOCore

/// What operators ask of a gateway, as HTTP with JSON on the worker's own socket: avalod's control socket, which knows who
/// may, has it below `/workers/gateway`. Described in docs/protocol/control.md.
///
///     POST /call/NAME   any function of servers, with all their rights: {"result": …} or {"error": …}
///     GET  /flags       the feature flags in force
///     GET  /api-keys    the keys in force: whose they are, never their hashes; ?hash=HEX: the one of that hash
struct ControlRoutes: Sendable {
  let access: SharedAccess
  /// The calls of the loop that holds the links, on which they are made.
  let http: NIOLoopBound<HTTPService>
  let eventLoop: any EventLoop

  /// Who publishes from a terminal: events of its own, told apart from those of any backend.
  static let operatorKey = APIKey(
    id: "avaloctl", name: "avaloctl", owner: "avaloctl",
    scopes: [.publish, .broadcast, .membership, .connections, .read])

  func add(to routes: HTTPRoutes) {
    routes.add(prefix: "/call/") { request in
      guard request.method == "POST" else { return .text("functions are called with POST", status: 405) }
      return await call(request)
    }
    routes.add("GET", "/flags") { _ in .json(ControlRoutes.document(access.current.flags)) }
    routes.add("GET", "/api-keys") { request in
      let keys = access.current.apiKeys
      guard let hash = request.parameter("hash") else { return .json(ControlRoutes.document(keys.all)) }
      return .json(ControlRoutes.document(keys.find(hexadecimal: hash).map { [$0] } ?? []))
    }
  }

  // MARK: Calling

  private func call(_ request: HTTPRequest) async -> HTTPResponse {
    let name = request.path.dropFirst("/call/".count)
    guard let callable = CallTable.find(name.utf8) else {
      let nearest = EditDistance.nearest(to: String(name), among: Set(CallTable.names))
      return ControlRoutes.refusal(
        CallError(
          .notFound, "there is no function \"\(name)\"" + (nearest.map { "; did you mean \"\($0)\"?" } ?? "")))
    }
    let result = await withCheckedContinuation { continuation in
      eventLoop.execute {
        // The request's bytes are borrowed only until the call returns.
        invoke(callable, request.body) { continuation.resume(returning: $0) }
      }
    }
    switch result {
    case .success(let answer):
      var json = JSONWriter(capacity: answer.count + 16)
      json.object {
        $0.key("result")
        $0.raw(answer)
      }
      return .json(json.take())
    case .failure(let error): return ControlRoutes.refusal(error)
    }
  }

  private func invoke(_ callable: any Callable.Type, _ body: [UInt8], reply: @escaping CallReply) {
    let text = body.isEmpty ? Array("null".utf8) : body
    text.withUnsafeBytes { text in
      do throws(JSONError) {
        let request = CallRequest(
          data: try JSONView(validating: text), caller: .server(ControlRoutes.operatorKey),
          carrier: .http(host: nil, secure: false))
        CallTable.invoke(callable, request, http.value.calls, reply: reply)
      } catch {
        reply(.failure(CallError(.invalidArgument, "the body is not JSON: \(error)")))
      }
    }
  }

  private static func refusal(_ error: CallError) -> HTTPResponse {
    var json = JSONWriter()
    json.object {
      $0.key("error")
      $0.object {
        $0.member("status", error.code.wireName)
        $0.member("message", error.message)
      }
    }
    return .json(json.bytes, status: error.code.httpStatus)
  }

  // MARK: Showing

  static func document(_ flags: FeatureFlags) -> [UInt8] {
    var json = JSONWriter()
    json.object {
      $0.key("flags")
      $0.array {
        for flag in flags.all {
          $0.object {
            $0.member("name", flag.name)
            $0.key("rollout")
            $0.raw(Array(flag.percent.utf8))
            $0.key("allow")
            $0.array { for user in flag.allow.sorted() { $0.string(user) } }
            $0.key("deny")
            $0.array { for user in flag.deny.sorted() { $0.string(user) } }
          }
        }
      }
    }
    return json.take()
  }

  static func document(_ keys: [APIKey]) -> [UInt8] {
    var json = JSONWriter()
    json.object {
      $0.key("keys")
      $0.array {
        for key in keys {
          $0.object {
            $0.member("id", key.id)
            $0.member("name", key.name)
            $0.member("owner", key.owner)
            $0.key("scopes")
            $0.array {
              for (name, scope) in APIKey.Scopes.names where key.scopes.contains(scope) { $0.string(name) }
            }
          }
        }
      }
    }
    return json.take()
  }
}
