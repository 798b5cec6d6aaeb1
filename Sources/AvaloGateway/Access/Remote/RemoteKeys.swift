import AvaloCore
import AvaloMetrics
import AvaloSystem
import Logging
import Synchronization

/// The keys of one issuer, fetched by URL. Any loop asks for them, at once; one task fetches.
///
/// Lives as long as its settings: a reload that does not change them keeps it. While its URL is down the last keys are
/// used, for `jwks_stale_max`; they are kept in the state directory, so that a restart in the meantime is no outage.
final class RemoteKeys: Sendable {
  typealias Fetch = @Sendable (_ url: String) async throws -> [UInt8]

  let settings: RemoteKeySettings
  private let state: Mutex<RemoteKeyState>
  private let file: RemoteKeyFile?
  private let clock: MonotonicClock
  private let wall: WallClock
  private let log: Logger
  private let metrics: RemoteKeyMetrics?
  private let wakes: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation

  init(
    _ settings: RemoteKeySettings, stateDirectory: String?, clock: MonotonicClock, wall: WallClock, log: Logger,
    metrics: RemoteKeyMetrics? = nil
  ) {
    self.settings = settings
    state = Mutex(RemoteKeyState(settings))
    file = stateDirectory.map { RemoteKeyFile(directory: $0, settings) }
    self.clock = clock
    self.wall = wall
    self.log = log
    self.metrics = metrics
    (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: Asking

  /// `nil` while there are none, or none that are fresh enough.
  var current: VerificationKeys? {
    let now = clock.now
    return state.withLock { $0.current(at: now) }
  }

  /// A token's key is not among them. Answers whether it may be soon: then the client should come back.
  func miss() -> Bool {
    let now = clock.now
    let (hope, isDue) = state.withLock { state in (state.miss(at: now), state.due() <= now) }
    if isDue { wake.yield() }
    return hope
  }

  // MARK: Fetching

  /// Fetches whenever it is due, until ``stop()``. `after` wakes it: a timer of the gateway's loop.
  func run(fetch: Fetch, after: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void) async {
    await remember()
    wake.yield()
    var armed: MonotonicInstant?
    for await _ in wakes {
      if state.withLock({ $0.due() }) <= clock.now { await refresh(fetch) }
      let due = state.withLock { $0.due() }
      let now = clock.now
      // One timer at a time, whoever else wakes us.
      if let armed, armed > now, armed <= due { continue }
      armed = due
      after(max(.zero, due - now)) { [wake] in wake.yield() }
    }
  }

  func stop() { wake.finish() }

  /// One try.
  func refresh(_ fetch: Fetch) async {
    do {
      let text = try await fetch(settings.url)
      let keys = try await read(text)
      let failures = state.withLock { state in
        defer { state.fetched(keys, at: clock.now) }
        return state.failures
      }
      metrics?.fetched(settings.source)
      if failures > 0 { log.notice("issuer's keys are fetched again", metadata: facts) }
      try file?.write(text, at: wall.milliseconds)
    } catch {
      let (age, isGood) = state.withLock { state in
        state.failed(at: clock.now)
        return (state.age(at: clock.now), state.current(at: clock.now) != nil)
      }
      metrics?.failed(settings.source)
      var facts = facts
      facts["error"] = "\(error)"
      facts["age_seconds"] = age.map { "\(Int($0.inSeconds))" }
      if isGood {
        log.warning("issuer's keys cannot be fetched; the last ones are used", metadata: facts)
      } else {
        log.error("issuer's keys cannot be fetched; its tokens cannot be checked", metadata: facts)
      }
    }
  }

  /// Seconds since the keys were fetched; `nil` before.
  var age: Duration? {
    let now = clock.now
    return state.withLock { $0.age(at: now) }
  }

  private var facts: Logger.Metadata { ["source": "\(settings.source.rawValue)", "url": "\(settings.url)"] }

  private func remember() async {
    guard let (text, milliseconds) = file?.read() else { return }
    let age = Duration.milliseconds(max(0, wall.milliseconds - milliseconds))
    do {
      let keys = try await read(text)
      state.withLock { $0.remembered(keys, age: age, at: clock.now) }
    } catch {
      log.warning("remembered keys cannot be read", metadata: ["error": "\(error)"])
    }
  }

  private func read(_ text: [UInt8]) async throws(KeyMaterial.Refusal) -> VerificationKeys {
    try await VerificationKeys.published(text, algorithms: settings.algorithms)
  }
}

/// Where the last good answer of an issuer is kept: a line with the time, then the answer.
struct RemoteKeyFile: Sendable {
  private let path: String

  /// The file is named by the URL's hash too: another issuer's keys are not this one's.
  init(directory: String, _ settings: RemoteKeySettings) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
    for byte in settings.url.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    path = "\(directory)/jwks.\(settings.source.rawValue).\(String(hash, radix: 16)).json"
  }

  /// `nil` when there is none, or none that can be read.
  func read() -> (text: [UInt8], milliseconds: Int64)? {
    guard let bytes = try? ProcessFile.readBytes(path, bytesMax: GatewayLimits.keyFileBytesMax),
      let end = bytes.firstIndex(of: UInt8(ascii: "\n")),
      let milliseconds = Int64(String(decoding: bytes[..<end], as: UTF8.self))
    else { return nil }
    return (Array(bytes[(end + 1)...]), milliseconds)
  }

  func write(_ text: [UInt8], at milliseconds: Int64) throws(SystemError) {
    try SmallFile.write(Array("\(milliseconds)\n".utf8) + text, to: path)
  }
}

/// What is measured of issuers' keys.
struct RemoteKeyMetrics: Sendable {
  private let fetches: CounterFamily

  init(_ registry: MetricsRegistry) {
    fetches = registry.counter(
      "avalo_jwks_fetches_total", help: "Fetches of issuers' keys, by result.",
      labels: ["source": RemoteKeySettings.Source.allCases.map(\.rawValue), "result": ["success", "failure"]])
  }

  func fetched(_ source: RemoteKeySettings.Source) { fetches.with(source.rawValue, "success").add(1) }
  func failed(_ source: RemoteKeySettings.Source) { fetches.with(source.rawValue, "failure").add(1) }
}
