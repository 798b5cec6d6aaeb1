import AvaloClient
import AvaloCore
import AvaloKeys
import AvaloTesting
import Glibc

/// A whole server in a folder of its own: avalod with the shipped configuration and fresh keys, on free ports.
struct RunningServer {
  let process: ServerProcess
  let endpoint: Endpoint
  let secret: SigningSecret
  let apiKey: APIKey
  private let environment: [String: String]

  /// - `environment`: settings besides, such as `AVALO_WORKERS__SCHEDULER__SETTINGS__DURABILITY`.
  /// - `document`: what `avalo.yaml` says instead of the shipped one.
  static func start(environment: [String: String] = [:], document: String? = nil) async throws -> RunningServer {
    let folder = TestFolder()
    let (secret, apiKey, variables) = try prepare(folder)
    return try await start(
      .shipped(document: document), variables.merging(environment) { $1 }, in: folder, secret, apiKey)
  }

  /// Makes fresh keys in `folder`, and says what names them to the shipped configuration.
  static func prepare(_ folder: TestFolder) throws -> (
    secret: SigningSecret, apiKey: APIKey, environment: [String: String]
  ) {
    var generator = SystemRandomNumberGenerator()
    let secret = SigningSecret(using: &generator)
    let apiKey = APIKey(using: &generator)
    let secretFile = try folder.write(secret.text + "\n", to: "user-tokens.secret")
    let keysFile = try folder.write(
      #"""
      [{"id": "test", "hash": "\#(apiKey.hash)", "scopes": ["publish", "broadcast", "read", "membership", "connections"]}]
      """#,
      to: "api-keys.json")
    let environment = [
      "AVALO_WORKERS__GATEWAY__INSTANCES": "1",
      "AVALO_WORKERS__GATEWAY__SETTINGS__AUTH__SECRET_FILE": secretFile,
      "AVALO_WORKERS__GATEWAY__SETTINGS__API_KEYS_FILE": keysFile,
      "AVALO_WORKERS__GATEWAY__SETTINGS__FLAGS__REALTIME_ENGINE_V2__ROLLOUT": "100",
    ]
    return (secret, apiKey, environment)
  }

  /// Starts anew where this one, which has ended, left off.
  func startAgain() async throws -> RunningServer {
    try await RunningServer.start(nil, environment, in: process.folder, secret, apiKey)
  }

  private static func start(
    _ configuration: ServerProcess.Configuration?, _ environment: [String: String], in folder: TestFolder,
    _ secret: SigningSecret, _ apiKey: APIKey
  ) async throws -> RunningServer {
    var variables = environment
    variables["AVALO_WORKERS__GATEWAY__SOCKETS__CLIENT__LISTEN"] = "127.0.0.1:0"
    let process = try await ServerProcess.start(configuration, environment: variables, in: folder)
    let (host, port) = try await process.address(of: "client", worker: "gateway")
    return RunningServer(
      process: process, endpoint: .tcp(host: host, port: port), secret: secret, apiKey: apiKey, environment: environment
    )
  }

  /// - `issuedAt`: seconds since 1970; now when it is not said.
  func token(_ user: String, chats: [String] = [], issuedAt: Int64? = nil, lifetime: Int64 = 3600) -> String {
    UserToken(
      user: user, chats: chats, issuedAt: issuedAt ?? nowSeconds, lifetime: lifetime, id: "t-\(user)"
    ).signed(with: secret)
  }

  func backend() -> CallableClient { CallableClient(endpoint, credential: apiKey.text) }
  func user(_ user: String, chats: [String] = []) -> CallableClient {
    CallableClient(endpoint, credential: token(user, chats: chats))
  }

  func connect(
    _ user: String, device: String, token: String? = nil, topics: [String]? = nil, chats: [String] = [],
    positions: [String: Position] = [:]
  ) async throws -> RealtimeConnection {
    try await RealtimeConnection.open(
      endpoint,
      ConnectRequest(
        .token(token ?? self.token(user, chats: chats)), deviceID: device, platform: .web, subscriptions: topics,
        positions: positions
      ))
  }

  /// Asks over many connections at once, of which some end at a gateway that stands still, and goes on with the first yes.
  func first(of count: Int, _ call: @escaping @Sendable (RunningServer) async throws -> Void) async throws {
    let (answers, answered) = AsyncStream.makeStream(of: Void.self)
    let tasks = (0..<count).map { _ in
      Task {
        try await call(self)
        answered.yield()
      }
    }
    for await _ in answers { break }
    for task in tasks { task.cancel() }
  }

  func stop() async throws { try await process.stop() }

  var nowSeconds: Int64 { Int64(time(nil)) }
}

/// Asks until the answer is another than `UNAVAILABLE`, as a careful client does; what fails for a minute fails.
func untilAnswered<Answer>(_ ask: () async throws -> Answer) async throws -> Answer {
  let deadline = ContinuousClock.now + .seconds(60)
  while true {
    do { return try await ask() } catch ClientError.refused(let error) where error.code != .unavailable {
      throw ClientError.refused(error)
    } catch {
      guard ContinuousClock.now < deadline else { throw error }
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}
