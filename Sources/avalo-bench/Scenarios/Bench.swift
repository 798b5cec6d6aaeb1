import AvaloCore
import AvaloKeys

/// What every measurement starts from: a server, the keys to it, its processes, and names that no earlier run used.
struct Bench {
  let target: Target
  let secret: SigningSecret
  let apiKey: String
  let processes: ServerProcesses
  /// In the names of users and events, so that runs do not see each other's.
  var run: String
  let descriptorsMax: Int
  let pinClient: Int?

  /// From the clock: a run starts later than the one before it.
  static func newRun() -> String {
    "b" + String(UInt64(Clock.wallSeconds()), radix: 36) + String(Clock.now() % 46_656, radix: 36)
  }

  /// The same, for one more run.
  func renamed() -> Bench {
    var bench = self
    bench.run = Bench.newRun()
    return bench
  }

  /// A user's name is the prefix and six digits.
  var userPrefix: String { run + "-" }

  func user(_ index: Int) -> String {
    let digits = String(index)
    return userPrefix + String(repeating: "0", count: PublishTemplate.userDigits - digits.count) + digits
  }

  /// What each of `count` clients says to be let in, signed and masked.
  /// - `chat`: the one topic `chat:…` of all; `nil`: each user's own inbox.
  /// - `positions`: where to resume; only for inboxes.
  /// - `watching`: whose presence each watches besides.
  func greetings(
    count: Int, chat: String? = nil, positions: ((Int) -> Position?)? = nil, watching: ((Int) -> [Int])? = nil
  ) -> PackedBytes {
    var greetings = PackedBytes()
    for index in 0..<count {
      greetings.append(
        greeting(index, chat: chat, position: positions?(index), watching: watching?(index) ?? []))
    }
    return greetings
  }

  /// Of one of them.
  func greeting(_ index: Int, chat: String? = nil, position: Position?, watching: [Int] = []) -> [UInt8] {
    let user = user(index)
    let token = UserToken(
      user: user, chats: chat.map { [$0] } ?? [], issuedAt: Clock.wallSeconds(), lifetime: 24 * 3_600,
      id: "\(run)\(index)")
    let topic = chat.map { "chat:" + $0 } ?? "user:" + user
    var json = JSONWriter(capacity: 512)
    json.object { json in
      json.key("connect")
      json.object { json in
        json.member("token", token.signed(with: secret))
        json.member("deviceId", "d")
        json.key("subscriptions")
        json.array {
          $0.string(topic)
          for other in watching { $0.string("presence:" + self.user(other)) }
        }
        guard let position else { return }
        json.key("positions")
        json.object { json in
          json.key(topic)
          json.object {
            $0.member("epoch", position.epoch.description)
            $0.member("offset", position.offset)
          }
        }
      }
    }
    return ClientFrame.make(json.bytes)
  }

  /// An engine for `count` clients, on this thread, which the load stays on from now.
  func engine(
    count: Int, chat: String? = nil, watching: ((Int) -> [Int])? = nil
  ) throws(BenchError) -> LoadEngine {
    guard count >= 1, count <= Limits.clientsMax else {
      throw .usage("--clients must be 1 to \(Limits.clientsMax); for more, run the tool several times at once")
    }
    guard count + 300 <= descriptorsMax else {
      throw .usage(
        "\(count) clients need more descriptors than the \(descriptorsMax) allowed here; raise them: ulimit -n")
    }
    if let pinClient { try OwnUse.pin(to: pinClient) }
    return try LoadEngine(target: target, greetings: greetings(count: count, chat: chat, watching: watching))
  }
}

/// The beginning of a measured phase; its end gives the figures.
struct Measured {
  private let start = Clock.now()
  private let own = OwnUse.cpuNanoseconds()
  private let before: [ProcessSample?]
  private let processes: ServerProcesses

  init(_ processes: ServerProcesses) {
    self.processes = processes
    before = processes.sample()
  }

  var seconds: Double { Double(Clock.now() - start) / 1e9 }

  /// Adds to the report what every process used since the beginning, for each of `units`.
  func end(_ report: inout Report, units: Double, memory: Bool = false) throws(BenchError) {
    let seconds = seconds
    let client = OwnUse.cpuNanoseconds() - own
    let uses = try processes.use(from: before, to: processes.sample())
    report.add(uses, client: client, seconds: seconds, units: units, memory: memory)
  }
}

extension Report {
  var jsonText: String {
    var json = JSONWriter()
    write(to: &json)
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
