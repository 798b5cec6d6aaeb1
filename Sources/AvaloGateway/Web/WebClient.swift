import AsyncHTTPClient
import AvaloSystem
import NIOCore

/// Asks servers on the web that the operator named: an identity provider for its keys, a backend for its word. One for
/// the process, on its loop; every answer bounded in time and bytes.
final class WebClient: Sendable {
  private let client: AsyncHTTPClient.HTTPClient

  struct Answer: Sendable, Equatable {
    var status: Int
    var body: [UInt8]
  }

  init(_ group: any EventLoopGroup) {
    var configuration = AsyncHTTPClient.HTTPClient.Configuration(
      redirectConfiguration: .disallow,
      timeout: .init(connect: .nanoseconds(GatewayLimits.webConnectTimeMax.nanoseconds)))
    configuration.httpVersion = .http1Only
    client = AsyncHTTPClient.HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
  }

  func get(_ url: String, within time: Duration, bytesMax: Int) async throws -> Answer {
    var request = HTTPClientRequest(url: url)
    request.headers.add(name: "Accept", value: "application/json")
    return try await send(request, within: time, bytesMax: bytesMax)
  }

  /// Sends JSON.
  func post(
    _ url: String, headers: [(String, String)], body: [UInt8], within time: Duration, bytesMax: Int
  ) async throws -> Answer {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers.add(contentsOf: [("Content-Type", "application/json"), ("Accept", "application/json")])
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    request.body = .bytes(body)
    return try await send(request, within: time, bytesMax: bytesMax)
  }

  private func send(_ request: HTTPClientRequest, within time: Duration, bytesMax: Int) async throws -> Answer {
    let answer = try await client.execute(request, timeout: .nanoseconds(time.nanoseconds))
    var body = try await answer.body.collect(upTo: bytesMax)
    return Answer(status: Int(answer.status.code), body: body.readBytes(length: body.readableBytes) ?? [])
  }

  /// Ends its connections. Must be called before it goes.
  func stop() async {
    // That it is stopped already is what is wanted.
    try? await client.shutdown()
  }

  /// Whether a setting names a server that may be asked: over TLS, or on this machine.
  static func isURL(_ text: String) -> Bool {
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
  static let expected = "a URL such as \"https://id.example.com/keys\" (http:// on this machine only)"
}
