import AsyncHTTPClient
import AvaloSystem
import NIOCore

/// Asks servers on the web that the operator named: an identity provider for its keys, a backend for its word. One for a
/// process, on its loop; every answer bounded in time and bytes.
public final class WebClient: Sendable {
  private let client: AsyncHTTPClient.HTTPClient

  public struct Answer: Sendable, Equatable {
    public var status: Int
    public var body: [UInt8]
    /// Retry-After as it was sent (RFC 9110 §10.2.3).
    public var retryAfter: String?

    public init(status: Int, body: [UInt8], retryAfter: String? = nil) {
      self.status = status
      self.body = body
      self.retryAfter = retryAfter
    }
  }

  public init(_ group: any EventLoopGroup) {
    var configuration = AsyncHTTPClient.HTTPClient.Configuration(
      redirectConfiguration: .disallow,
      timeout: .init(connect: .nanoseconds(WebLimits.connectTimeMax.nanoseconds)))
    configuration.httpVersion = .http1Only
    client = AsyncHTTPClient.HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
  }

  public func get(_ url: String, within time: Duration, bytesMax: Int) async throws -> Answer {
    var request = HTTPClientRequest(url: url)
    request.headers.add(name: "Accept", value: "application/json")
    return try await send(request, within: time, bytesMax: bytesMax)
  }

  /// Sends JSON. With `ignoresLongBody` an answer over the bound is one without a body, and not an error.
  public func post(
    _ url: String, headers: [(String, String)], body: [UInt8], within time: Duration, bytesMax: Int,
    ignoresLongBody: Bool = false
  ) async throws -> Answer {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers.add(contentsOf: [("Content-Type", "application/json"), ("Accept", "application/json")])
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    request.body = .bytes(body)
    return try await send(request, within: time, bytesMax: bytesMax, ignoresLongBody: ignoresLongBody)
  }

  private func send(
    _ request: HTTPClientRequest, within time: Duration, bytesMax: Int, ignoresLongBody: Bool = false
  ) async throws -> Answer {
    let answer = try await client.execute(request, timeout: .nanoseconds(time.nanoseconds))
    var taken = Answer(status: Int(answer.status.code), body: [], retryAfter: answer.headers.first(name: "Retry-After"))
    do {
      var body = try await answer.body.collect(upTo: bytesMax)
      taken.body = body.readBytes(length: body.readableBytes) ?? []
    } catch let error as NIOTooManyBytesError {
      guard ignoresLongBody else { throw error }
    }
    return taken
  }

  /// Ends its connections. Must be called before it goes.
  public func stop() async {
    // That it is stopped already is what is wanted.
    try? await client.shutdown()
  }

  /// Whether a setting names a server that may be asked: over TLS, or on this machine.
  public static func isURL(_ text: String) -> Bool {
    guard let scheme = ["https://", "http://"].first(where: text.hasPrefix),
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { return false }
    let rest = text.dropFirst(scheme.count)
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !authority.isEmpty, !authority.contains("@") else { return false }
    if scheme == "https://" { return true }
    let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
    return host == "localhost" || host == "[::1]" || host.hasPrefix("127.")
  }
  public static let expected = "a URL such as \"https://id.example.com/keys\" (http:// on this machine only)"
}
