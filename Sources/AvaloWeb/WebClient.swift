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

  /// - `connectionsMax`: to one server at a time, opened as they are needed; what is over it waits within its own time.
  public init(_ group: any EventLoopGroup, connectionsMax: Int = WebLimits.connectionsMax) {
    var configuration = AsyncHTTPClient.HTTPClient.Configuration(
      redirectConfiguration: .disallow,
      timeout: .init(connect: .nanoseconds(WebLimits.connectTimeMax.nanoseconds)))
    configuration.httpVersion = .http1Only
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connectionsMax
    client = AsyncHTTPClient.HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
  }

  public func get(_ url: String, within time: Duration, bytesMax: Int) async throws -> Answer {
    var request = HTTPClientRequest(url: url)
    request.headers.add(name: "Accept", value: "application/json")
    return try await send(request, within: time, bytesMax: bytesMax)
  }

  /// Sends JSON. With `ignoresLongBody` an answer whose body is over the bound, or late, is one without a body, and not an error.
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
    let deadline = ContinuousClock.now + time
    let answer = try await client.execute(request, timeout: .nanoseconds(time.nanoseconds))
    var taken = Answer(status: Int(answer.status.code), body: [], retryAfter: answer.headers.first(name: "Retry-After"))
    do {
      taken.body = try await body(of: answer, before: deadline, bytesMax: bytesMax)
    } catch {
      // Its connection is closed, and not used again.
      guard ignoresLongBody else { throw error }
    }
    return taken
  }

  /// `execute` bounds the time until the head is there; a body may come for as long as its server likes.
  private func body(
    of answer: HTTPClientResponse, before deadline: ContinuousClock.Instant, bytesMax: Int
  ) async throws -> [UInt8] {
    try await withThrowingTaskGroup(of: [UInt8].self) { group in
      defer { group.cancelAll() }
      group.addTask {
        var body = try await answer.body.collect(upTo: bytesMax)
        return body.readBytes(length: body.readableBytes) ?? []
      }
      group.addTask {
        try await Task.sleep(until: deadline)
        throw HTTPClientError.deadlineExceeded
      }
      return try await group.next() ?? []
    }
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
    guard !authority.contains("@") else { return false }
    let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
    let port = authority.dropFirst(host.count)
    guard !host.isEmpty, port.isEmpty || port.first == ":" && (UInt16(port.dropFirst()) ?? 0) > 0 else { return false }
    return scheme == "https://" || host == "localhost" || host == "[::1]" || isLoopback(host)
  }

  /// An IPv4 address of 127.0.0.0/8, and no name that looks like one.
  private static func isLoopback(_ host: Substring) -> Bool {
    let octets = host.split(separator: ".", omittingEmptySubsequences: false)
    return octets.count == 4 && octets[0] == "127" && octets.allSatisfy { UInt8($0) != nil && $0.first != "+" }
  }

  public static let expected = "a URL such as \"https://id.example.com/keys\" (http:// on this machine only)"
}
