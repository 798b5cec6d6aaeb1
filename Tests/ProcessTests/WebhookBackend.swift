import AvaloCore
import AvaloSystem
import AvaloTesting
import Crypto
import Glibc
import Logging
import NIOPosix
import Synchronization

/// A backend that takes webhooks over HTTP, as its author would write it: verifies, then takes each id once. It can go away
/// and come back on the same port, refuse, and be slow.
final class WebhookBackend: Sendable {
  struct Post: Sendable, Equatable {
    var id: String
    var topic: String
    var eventID: String
    /// As the backend answered it.
    var status: Int
  }
  private struct State {
    var posts: [Post] = []
    var complaints: [String] = []
    /// Answers to the posts of an event, before 200.
    var answers: [String: [Int]] = [:]
    var isHeld = false
    var server: HTTPServer?
  }
  private static let key = [UInt8](repeating: 7, count: 32)
  let port: Int
  private let state = Mutex(State())

  /// Finds a port; nobody is there yet.
  init() async throws {
    let probe = HTTPServer(routes: HTTPRoutes(), group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "t"))
    guard let port = try await probe.listen(host: "127.0.0.1", port: 0)?.port else { throw WaitError(what: "a port") }
    await probe.stop(within: .zero)
    self.port = port
  }

  /// Settings of a server whose webhook posts there, quickly.
  static func environment(port: Int, in folder: TestFolder) throws -> [String: String] {
    let secret = try folder.write("whsec_\(Base64.encode(key))\n", to: "webhook.secret")
    chmod(secret, 0o600)
    return [
      "AVALO_WORKERS__WEBHOOK__ENABLED": "true",
      "AVALO_WORKERS__WEBHOOK__SETTINGS__URL": "http://127.0.0.1:\(port)/events",
      "AVALO_WORKERS__WEBHOOK__SETTINGS__SECRET_FILE": secret,
      "AVALO_WORKERS__WEBHOOK__SETTINGS__ONLY_OFFLINE": "true",
      "AVALO_WORKERS__WEBHOOK__SETTINGS__ATTEMPTS": "3",
      "AVALO_WORKERS__WEBHOOK__SETTINGS__BACKOFF_MIN": "20ms",
      "AVALO_WORKERS__WEBHOOK__SETTINGS__BACKOFF_MAX": "200ms",
    ]
  }

  func come() async throws {
    let routes = HTTPRoutes()
    routes.add("POST", "/events") { request in
      // Ends with the test's word, or with the client's patience.
      while self.state.withLock({ $0.isHeld }) { try? await Task.sleep(for: .milliseconds(5)) }
      return HTTPResponse(status: self.take(request))
    }
    let server = HTTPServer(routes: routes, group: MultiThreadedEventLoopGroup.singleton, log: Logger(label: "backend"))
    _ = try await server.listen(host: "127.0.0.1", port: port)
    state.withLock { $0.server = server }
  }

  func leave() async {
    let server = state.withLock { state in
      defer { state.server = nil }
      return state.server
    }
    await server?.stop(within: .zero)
  }

  func hold(_ isHeld: Bool) { state.withLock { $0.isHeld = isHeld } }

  /// What it says to the next posts of an event.
  func answer(_ eventID: String, with statuses: [Int]) { state.withLock { $0.answers[eventID] = statuses } }

  var posts: [Post] { state.withLock { $0.posts } }
  var complaints: [String] { state.withLock { $0.complaints } }
  /// Event ids of a topic that were taken, each the first time, in order.
  func taken(_ topic: String) -> [String] {
    var seen = Set<String>()
    return posts.filter { $0.topic == topic && $0.status == 200 && seen.insert($0.id).inserted }.map(\.eventID)
  }

  private func take(_ request: HTTPRequest) -> Int {
    state.withLock { state in
      guard let id = request.headers["webhook-id"], let time = request.headers["webhook-timestamp"],
        let given = request.headers["webhook-signature"], let sent = Int(time), abs(sent - Glibc.time(nil)) < 300
      else {
        state.complaints.append("headers are missing, or old")
        return 400
      }
      let signed = Array("\(id).\(time).".utf8) + request.body
      let code = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: Self.key))
      guard given == "v1," + Base64.encode(code) else {
        state.complaints.append("\(id) is signed \(given)")
        return 401
      }
      guard let body = try? SettingsNode(json: request.body), case .string(let topic)? = body["topic"]?.value,
        case .string(let eventID)? = body["event"]?["eventId"]?.value
      else {
        state.complaints.append("\(String(decoding: request.body, as: UTF8.self)) is no event")
        return 400
      }
      let isLast = state.answers[eventID]?.isEmpty ?? true
      let status = isLast ? 200 : state.answers[eventID]!.removeFirst()
      state.posts.append(Post(id: id, topic: topic, eventID: eventID, status: status))
      return status
    }
  }
}
