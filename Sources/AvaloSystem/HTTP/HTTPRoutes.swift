import Synchronization

/// Answers one request. Called on the cooperative pool; cancelled when the client is gone or time is up.
public typealias HTTPHandler = @Sendable (HTTPRequest) async -> HTTPResponse

/// Which handler answers which path. Routes may be added while servers run; shared by any number of them.
public final class HTTPRoutes: Sendable {
  private struct Route: Sendable {
    var method: String
    var handler: HTTPHandler
  }
  private struct Table: Sendable {
    var exact: [String: [Route]] = [:]
    /// Longest first.
    var prefixes: [(prefix: String, route: Route)] = []
  }
  private let table = Mutex(Table())

  public init() {}

  /// Answers `method` on exactly `path`. The later of two for the same replaces the earlier. A GET answers HEAD too.
  public func add(_ method: String, _ path: String, _ handler: @escaping HTTPHandler) {
    precondition(path.hasPrefix("/"), "a path starts with /")
    table.withLock {
      $0.exact[path, default: []].removeAll { $0.method == method }
      $0.exact[path, default: []].append(Route(method: method, handler: handler))
    }
  }

  /// Answers every method on all paths that start with `prefix`, unless an exact one fits. The longest prefix wins.
  public func add(prefix: String, _ handler: @escaping HTTPHandler) {
    precondition(prefix.hasPrefix("/"), "a path starts with /")
    table.withLock {
      $0.prefixes.removeAll { $0.prefix == prefix }
      $0.prefixes.append((prefix, Route(method: "*", handler: handler)))
      $0.prefixes.sort { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }
  }

  /// Answers a request: 404 when no path fits, 405 when only its method does not.
  public func answer(_ request: HTTPRequest) async -> HTTPResponse {
    let method = request.method == "HEAD" ? "GET" : request.method
    let (handler, allowed) = table.withLock { table -> (HTTPHandler?, [String]) in
      if let routes = table.exact[request.path], !routes.isEmpty {
        return (routes.first { $0.method == method }?.handler, routes.map(\.method))
      }
      return (table.prefixes.first { request.path.hasPrefix($0.prefix) }?.route.handler, [])
    }
    if let handler { return await handler(request) }
    if allowed.isEmpty { return .text("no such path: \(request.path)", status: 404) }
    var refusal = HTTPResponse.text("\(request.path) takes \(allowed.joined(separator: ", "))", status: 405)
    refusal.headers["Allow"] = allowed.joined(separator: ", ")
    return refusal
  }
}
