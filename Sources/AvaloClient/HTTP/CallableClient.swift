import AvaloCore

/// Calls the server's functions over HTTP: `POST /NAME` with `{"data": …}`, answered by `{"result": …}` or an error.
public struct CallableClient: Sendable {
  private let client: HTTPClient
  private let credential: String?

  /// `credential` is a user's token or an API key.
  public init(_ client: HTTPClient, credential: String? = nil) {
    self.client = client
    self.credential = credential
  }

  /// Makes an HTTP client of its own.
  public init(_ endpoint: Endpoint, credential: String? = nil) {
    self.init(HTTPClient(endpoint), credential: credential)
  }

  /// Throws ``ClientError``; `refused` carries the server's code and sentence.
  public func call(
    _ name: String, _ data: JSONText, timeout: Duration = .milliseconds(ClientLimits.answerTimeoutMilliseconds)
  ) async throws -> JSONText {
    let request = CallableClient.request(name, data, credential: credential)
    return try CallableClient.result(of: try await client.send(request, timeout: timeout))
  }

  /// - `accept`: what kind of answer is wanted, if not the usual one.
  static func request(_ name: String, _ data: JSONText, credential: String?, accept: String? = nil) -> HTTPRequest {
    var headers = [(name: "content-type", value: "application/json")]
    if let accept { headers.append((name: "accept", value: accept)) }
    if let credential { headers.append((name: "authorization", value: "Bearer \(credential)")) }
    let body = JSONText { json in
      json.object {
        $0.key("data")
        $0.raw(data.bytes)
      }
    }
    return HTTPRequest("POST", "/" + name, headers: headers, body: body.bytes)
  }

  /// Ends the HTTP client's connection; the next call makes a new one.
  public func close() async { await client.close() }

  /// Reads the callable protocol's answer. A status without a body of that protocol is told as it is.
  public static func result(of reply: HTTPReply) throws(ClientError) -> JSONText {
    guard let answer = try? JSONText(validating: reply.body) else {
      throw .broken("the server answered HTTP \(reply.status) without JSON: \(reply.text.prefix(200))")
    }
    let outcome: Result<JSONText, ClientError> = answer.read { view in
      if let error = view["error"] { return .failure(.refused(CallError(view: error))) }
      if let result = view["result"], reply.status == 200 { return .success(JSONText(result)) }
      return .failure(.broken("the server answered HTTP \(reply.status): \(reply.text.prefix(200))"))
    }
    return try outcome.get()
  }
}

extension CallError {
  /// Reads `{"status", "message", "details"}`; a status we do not know is `UNKNOWN`.
  init(view: JSONView) {
    let name = view["status"]?.string ?? ""
    self.init(
      StatusCode.allCases.first { $0.wireName == name } ?? .unknown,
      view["message"]?.string ?? "the server gave no reason",
      retryAfterMilliseconds: (view["details"]?["retryAfterMs"]?.integer).map {
        Int(min(max($0, 0), Int64(ClientLimits.retryAfterMaxMilliseconds)))
      })
    guard let code = view["details"]?["code"]?.integer.flatMap({ Int(exactly: $0) }) else { return }
    ending = Ending(code: code, reason: view["details"]?["reason"]?.string ?? "")
  }
}
