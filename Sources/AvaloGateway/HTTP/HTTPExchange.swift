import AvaloCore
import NIOCore
import NIOHTTP1

/// One request on its way to its answer: route, headers, body. A value that the connection holds while it reads.
struct HTTPExchange {
  /// What is left of it when it was read: its place in the queue of answers.
  struct Due {
    var keepAlive = true
    var withoutBody = false
    var allowedOrigin: String?
    /// `nil` while it is being worked on.
    var answer: HTTPAnswer?
  }

  let facts: HTTPRequestFacts
  let due: Due
  private let route: HTTPRoute
  private let access: Access
  private var body: ByteBuffer?

  init(_ head: HTTPRequestHead, access: Access, draining: Bool) {
    self.access = access
    facts = HTTPRequestFacts(head.headers)
    route = HTTPRoute(head)
    due = Due(
      // Behind a request to change the protocol, the parser reads no further one.
      keepAlive: head.isKeepAlive && head.version == .http1_1 && !draining && !facts.hasUpgrade
        && head.method != .CONNECT,
      withoutBody: head.method == .HEAD,
      allowedOrigin: facts.origin.flatMap { access.cors.allows($0) ? $0 : nil })
  }

  // MARK: Reading

  /// Why the body is not worth waiting for.
  var refusalBeforeBody: HTTPAnswer? {
    if let name = facts.ambiguous {
      return .error(CallError(.invalidArgument, "the header \(name) is there twice"))
    }
    if let length = facts.contentLength, length > bodyBytesMax { return tooLarge }
    return nil
  }

  /// False when the body is over its bound.
  mutating func append(_ part: ByteBuffer) -> Bool {
    guard (body?.readableBytes ?? 0) + part.readableBytes <= bodyBytesMax else { return false }
    if body == nil { body = part } else { body!.writeImmutableBuffer(part) }
    return true
  }

  var tooLarge: HTTPAnswer {
    .error(CallError(.invalidArgument, "the body may have \(bodyBytesMax) bytes"))
  }

  private var bodyBytesMax: Int { access.settings.limits.httpBodyBytesMax }

  // MARK: Answering

  /// Calls `done` once, now or later.
  func answer(_ service: HTTPService, secure: Bool, done: @escaping (HTTPAnswer) -> Void) {
    switch route {
    case .preflight: done(.allowed)
    case .refused(let answer): done(answer)
    case .health:
      done(
        service.health.draining
          ? .error(CallError(.unavailable, "this instance is draining", retryAfterMilliseconds: 1000)) : .healthy)
    case .call(let callable):
      do throws(CallError) {
        let caller = try access.caller(authorization: facts.authorization, now: service.calls.wall.milliseconds)
        try checkType()
        let body = body ?? ByteBuffer()
        let result = body.withUnsafeReadableBytes { text -> Result<Void, CallError> in
          do throws(CallError) {
            let request = CallRequest(
              data: try HTTPExchange.data(text), caller: caller, carrier: .http(host: facts.host, secure: secure))
            CallTable.invoke(callable, request, service.calls) { done(HTTPAnswer($0)) }
            return .success(())
          } catch {
            return .failure(error)
          }
        }
        try result.get()
      } catch {
        service.calls.observed(callable.name) { done(HTTPAnswer($0)) }(.failure(error))
      }
    }
  }

  private func checkType() throws(CallError) {
    guard facts.isJSON else {
      throw CallError(
        .invalidArgument, "the Content-Type must be application/json, not \"\(facts.contentType?.prefix(80) ?? "")\"")
    }
    guard !facts.isEncoded else { throw CallError(.invalidArgument, "the body must not have a Content-Encoding") }
  }

  /// What is behind the one key that a body has.
  static func data(_ text: UnsafeRawBufferPointer) throws(CallError) -> JSONView {
    let body: JSONView
    do throws(JSONError) {
      body = try JSONView(validating: text)
    } catch {
      throw CallError(.invalidArgument, "the body is not JSON: \(error)")
    }
    guard body.kind == .object else { throw CallError(.invalidArgument, "the body must be {\"data\": …}") }
    var data: JSONView?
    for (key, value) in body.members {
      guard key.matches("data") else {
        throw CallError(.invalidArgument, "the body must have the key \"data\" and no other, not \(key.excerpt)")
      }
      data = value
    }
    guard let data else { throw CallError(.invalidArgument, "the body must have the key \"data\"") }
    return data
  }
}
