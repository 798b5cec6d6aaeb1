import AvaloCore
import AvaloKeys
import AvaloTesting
import AvaloWire
import NIOCore
import Testing

@testable import AvaloGateway

/// The HTTP side of a gateway on one loop, with the workers behind played by the test.
final class HTTPBackend: Sendable {
  let service: NIOLoopBound<HTTPService>
  let health = Health()
  private let key: String
  private let services: NIOLoopBound<FakeServices>
  private let eventLoop: any EventLoop

  init(on eventLoop: any EventLoop) async throws {
    let folder = try TemporaryFolder()
    var random = SystemRandomNumberGenerator()
    let made = AvaloKeys.APIKey(using: &random)
    key = made.text
    folder.write("keys.json", #"[{"id":"b","hash":"\#(made.hash)","scopes":["publish","broadcast","read"]}]"#)
    let access = SharedAccess(try await makeAccess(#""api_keys_file":"keys.json""#, folder: folder))
    self.eventLoop = eventLoop
    let health = health
    (service, services) = try await eventLoop.submit {
      let services = FakeServices()
      let calls = CallContext(services: services, access: access, admission: Admission())
      return (
        NIOLoopBound(HTTPService(calls: calls, health: health), eventLoop: eventLoop),
        NIOLoopBound(services, eventLoop: eventLoop)
      )
    }.get()
  }

  // MARK: Requests

  static let get = Array("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".utf8)

  func call(_ name: String, _ data: String) -> [UInt8] {
    let body = #"{"data":\#(data)}"#
    return Array(
      ("POST /\(name) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(key)\r\nContent-Type: application/json\r\n"
        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)").utf8)
  }

  func publish(_ id: String) -> [UInt8] {
    call("publishRealtimeEvent", #"{"eventId":"\#(id)","type":"notification","targetUserId":"u","payload":{}}"#)
  }

  // MARK: The workers

  /// Every user has said as much of themselves as they may.
  func playLargePresence() throws {
    try play {
      $0.presenceAnswer = { request in
        guard let query = request as? PresenceQuery else { return .failure(CallError(.internal, "not asked for")) }
        let state = PresenceState(customStatus: String(repeating: "s", count: Limits.customStatusBytesMax))
        return .success(PresenceAnswer(entries: query.users.map { _ in PresenceAnswer.Entry(state: state) }))
      }
    }
  }

  /// Runs something with them on the loop, and waits for its result.
  func play<Result: Sendable>(_ body: @escaping @Sendable (FakeServices) -> Result) throws -> Result {
    try eventLoop.submit { [services] in body(services.value) }.wait()
  }
}

extension SocketProbe {
  /// The next HTTP answer, which says how long it is.
  func answer() throws -> (head: String, body: String) {
    let head = try head()
    let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length: ") }
    let count = try #require(line.flatMap { Int($0.dropFirst(16)) }, "\(head)")
    return (head, String(decoding: try take(count), as: UTF8.self))
  }
}
