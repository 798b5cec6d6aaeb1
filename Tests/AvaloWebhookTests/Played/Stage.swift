import AvaloCore
import AvaloSystem
import AvaloTesting
import AvaloWire
import Glibc
import Testing

/// The webhook's real process between a log and a backend that are played.
struct Stage {
  static let generation: UInt32 = 1
  let folder = TestFolder()
  let log: PlayedNeighbour
  let backend = PlayedBackend()
  let worker: WorkerProcess

  /// - `settings`: members after the first, `, "attempts": 3`.
  /// - `prepare`: what is to be there before the process starts.
  init(
    _ settings: String = "", environment: [String: String] = [:], prepare: (TestFolder) async throws -> Void = { _ in }
  ) async throws {
    log = try await PlayedNeighbour(path: folder.path + "/scheduler.sock")
    let port = try await backend.start()
    let secret = try folder.write("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", to: "webhook.secret")
    chmod(secret, 0o600)
    try await prepare(folder)
    worker = try await WorkerProcess.start(
      "avalo-webhook",
      settings: #"{"url": "http://127.0.0.1:\#(port)/events", "secret_file": "webhook.secret"\#(settings)}"#,
      environment: environment, in: folder)
  }

  /// The worker leaves in order, and everybody else with it.
  /// - `isTold`: it leaves already.
  func end(isTold: Bool = false) async throws {
    let ending = isTold ? try await worker.process.ending() : try await worker.process.stop()
    #expect(ending == .exit(0))
    try await log.stop()
    try await backend.stop()
  }

  static func id(_ sequence: UInt64) -> String { "evt_\(generation)_\(sequence)" }

  static func inbox(_ user: String) -> Topic { Topic("user:" + user)! }

  /// A notification that the log has accepted just now.
  static func row(_ sequence: UInt64, _ user: String, _ offset: UInt64 = 1) -> FollowedPage.Row {
    let now = WallClock.system.milliseconds
    var record = EventFields(
      type: .notification, ttlSeconds: 3600, timestampMilliseconds: now, acceptedMicroseconds: now * 1000,
      eventID: "e\(sequence)", payload: Array("{}".utf8)
    ).record()
    record.withUnsafeMutableBytes { EventRecord.setExpiry(now + 3_600_000, in: $0) }
    return FollowedPage.Row(sequence: sequence, topic: inbox(user), offset: offset, record: record)
  }

  // MARK: - As the log

  /// Takes the webhook in, and is asked for a page; returns its correlation.
  @discardableResult
  func follow(acknowledged: UInt64 = 0) async throws -> UInt32 {
    let correlation = try await log.next(Follow.self).correlation
    try await log.say(
      Following(generation: Stage.generation, acknowledged: acknowledged, missed: 0), correlation: correlation)
    return try await isAsked(after: acknowledged)
  }

  /// Is asked for a page.
  @discardableResult
  func isAsked(after sequence: UInt64) async throws -> UInt32 {
    let (read, correlation) = try await log.next(ReadFollowed.self)
    #expect(read.after == sequence)
    return correlation
  }

  /// Sends the page that was asked for.
  func page(_ rows: [FollowedPage.Row], through sequence: UInt64? = nil, to correlation: UInt32) async throws {
    let through = sequence ?? rows.last?.sequence ?? 0
    try await log.say(FollowedPage(through: through, gone: 0, rows: rows), correlation: correlation)
  }

  func erase(_ user: String, upTo offset: UInt64) async throws {
    try await log.say(FollowedErased(topic: Stage.inbox(user), upTo: offset))
  }

  /// Waits until everything up to there is acknowledged.
  func isAcknowledged(_ sequence: UInt64) async throws {
    while try await log.next(AcknowledgeFollowed.self).message.sequence < sequence {}
  }

  /// Waits until a series has a value.
  func wait(for series: String, _ value: Double) async throws {
    _ = try await eventually("\(series) \(value)") {
      try await worker.metric("avalo_webhook_" + series) == value ? true : nil
    }
  }

  /// Waits until these are being posted, and no other.
  func isPosting(_ sequences: Set<UInt64>) async throws {
    let ids = Set(sequences.map(Stage.id))
    _ = try await eventually("posts of \(ids)") { backend.underWay == ids ? true : nil }
  }
}
