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
    /// The way of its answer, for the call.
    var writing: AnswerWriting?
    /// `nil` while it is being worked on.
    var answer: HTTPAnswer?
  }

  let facts: HTTPRequestFacts
  let due: Due
  private let route: HTTPRoute
  private let access: Access
  private let hasToNameHost: Bool
  private let bodyBytesMax: Int
  private var body: ByteBuffer?

  init(_ head: HTTPRequestHead, access: Access, draining: Bool) {
    self.access = access
    facts = HTTPRequestFacts(head.headers)
    route = HTTPRoute(head)
    hasToNameHost = head.version == .http1_1
    bodyBytesMax = HTTPExchange.bodyBytesMax(route, facts, access)
    due = Due(
      // Behind a request to change the protocol, the parser reads no further one.
      keepAlive: head.isKeepAlive && head.version == .http1_1 && !draining && !facts.hasUpgrade
        && head.method != .CONNECT && !route.mayStream(facts),
      withoutBody: head.method == .HEAD,
      allowedOrigin: facts.origin.flatMap { access.cors.allows($0) ? $0 : nil })
  }

  // MARK: Reading

  /// Why the body is not worth waiting for.
  var refusalBeforeBody: HTTPAnswer? {
    if let name = facts.ambiguous {
      return .error(CallError(.invalidArgument, "the header \(name) is there twice"))
    }
    if facts.host == nil, hasToNameHost {
      return .error(CallError(.invalidArgument, "the header Host is missing"))
    }
    if facts.hasUnknownCoding {
      return .error(CallError(.invalidArgument, "the Transfer-Encoding may be chunked, and nothing else"))
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
    .error(.over(.messageBytes, max: bodyBytesMax, "the body may have \(bodyBytesMax) bytes"))
  }

  /// A broadcast to very many users is larger than other requests: for who has the right to one.
  private static func bodyBytesMax(_ route: HTTPRoute, _ facts: HTTPRequestFacts, _ access: Access) -> Int {
    let usual = access.settings.limits.httpBodyBytesMax
    guard case .call(let callable) = route, callable == BroadcastToUsers.self, facts.contentLength ?? .max > usual,
      let key = try? access.server(authorization: facts.authorization), key.scopes.contains(.broadcast)
    else { return usual }
    return max(usual, GatewayLimits.broadcastBodyBytesMax)
  }

  // MARK: Answering

  func writing(_ peer: HTTPPeer) -> AnswerWriting {
    AnswerWriting(
      client: peer.isCounted ? nil : access.proxies.client(behind: peer.address, forwardedFor: facts.forwardedFor))
  }

  /// Calls `done` once, now or later.
  func answer(
    _ service: HTTPService, _ peer: HTTPPeer, on eventLoop: any EventLoop, writing: AnswerWriting,
    done: @escaping (HTTPAnswer) -> Void
  ) {
    let client = writing.client
    // A trusted proxy may say that TLS ends there.
    let secure = peer.secure || facts.isForwardedSecure && access.proxies.contains(peer.address)
    switch route {
    case .preflight: done(.allowed)
    case .refused(let answer): done(answer)
    case .events(let query):
      do throws(CallError) {
        done(.stream(try EventsRequest(query, facts, access, service.calls).start(service, client)))
      } catch {
        done(.error(error))
      }
    case .health:
      done(
        service.health.draining ? .error(.draining) : .healthy)
    case .demo(let name):
      guard let demo = access.demo else { return done(.error(.nothingThere)) }
      guard let name else { return done(.moved("/demo/")) }
      done(demo.file(name).map { .file($0) } ?? .error(CallError(.notFound, "the demo has no such file")))
    case .call(let callable):
      let reply: CallReply = facts.acceptsEvents ? { done(.lastLine(Face.lastLine($0))) } : { done(HTTPAnswer($0)) }
      do throws(CallError) {
        let caller = try access.caller(authorization: facts.authorization, now: service.calls.wall.milliseconds)
        try checkType()
        let body = body ?? ByteBuffer()
        let carrier = CallRequest.Carrier.http(host: facts.host, secure: secure, writing: writing)
        if callable == BroadcastToUsers.self, body.readableBytes > GatewayLimits.bodyBytesOnLoopMax {
          return try BroadcastToUsers.call(
            CallRequest(data: .null, caller: caller, carrier: carrier), reading: body, on: eventLoop, service.calls,
            reply: reply)
        }
        let result = body.withUnsafeReadableBytes { text -> Result<Void, CallError> in
          do throws(CallError) {
            let request = CallRequest(data: try CallRequest.data(of: text), caller: caller, carrier: carrier)
            if let start = try stream(callable, request, service, client) {
              done(.stream(start))
            } else {
              CallTable.invoke(callable, request, service.calls, reply: reply)
            }
            return .success(())
          } catch {
            return .failure(error)
          }
        }
        try result.get()
      } catch {
        service.calls.observed(callable.name, reply)(.failure(error))
      }
    }
  }

  /// A subscription that is not answered with where to listen, but by what there is to hear. `nil` for everything else.
  private func stream(
    _ callable: any Callable.Type, _ request: CallRequest, _ service: HTTPService, _ client: String?
  ) throws(CallError) -> StreamStart? {
    guard facts.acceptsEvents, callable == SubscribeToRealtimeEvents.self else { return nil }
    try access.cors.mayListen(facts.origin)
    let identity = try request.user()
    try service.calls.admit(request.caller, to: callable)
    guard access.flags.engine.isOn(for: identity.user) else { return nil }
    let wish = try ConnectRequest(request.data, topicsMax: HubLimits.streamTopicsMax)
    guard let streams = service.streams?.calls else { throw .noStreams }
    if let refusal = streams.refusal(identity, wish) { throw refusal }
    return StreamStart(streams: streams, identity: identity, request: wish, address: client)
  }

  private func checkType() throws(CallError) {
    guard facts.isJSON else {
      throw CallError(
        .invalidArgument, "the Content-Type must be application/json, not \"\(facts.contentType?.prefix(80) ?? "")\"")
    }
    guard !facts.isEncoded else { throw CallError(.invalidArgument, "the body must not have a Content-Encoding") }
  }
}

extension CallRequest {
  /// What is behind the one key that a body has.
  static func data(of text: UnsafeRawBufferPointer) throws(CallError) -> JSONView {
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
