import AvaloCore
import AvaloMetrics
import AvaloSystem
import AvaloWeb
import Crypto
import Logging
import Synchronization

/// Asks a backend who is a member of what, and remembers its answers for a while. Any thread.
///
/// The request is `POST` with `{"userId":"ann","topics":["chat:c1","chat:c2"]}`, signed: `X-Avalo-Signature: t=SECONDS,v1=HEX`,
/// the HMAC-SHA256 of `SECONDS.BODY` by the shared secret. The answer is 200 with `{"allowed":["chat:c1"]}`; what is not named
/// there is denied. Anything else, or no answer in time, decides nothing: the topic is denied as UNAVAILABLE, for now.
public final class MembershipWebhook: Sendable {
  typealias Post = @Sendable (_ body: [UInt8], _ signature: String) async throws -> WebClient.Answer

  let settings: MembershipWebhookSettings
  private let key: SymmetricKey
  private let post: Post
  private let clock: MonotonicClock
  private let wall: WallClock
  private let log: Logger
  private let metrics: MembershipMetrics?
  private let state: Mutex<State>

  private struct State {
    var cache = MembershipCache()
    /// Who was told to come again, apart: they push out no decision.
    var unavailable = MembershipCache(max: GatewayLimits.webhookDecisionsMax / 10)
    var breaker = CircuitBreaker()
    var budget = QuestionBudget()
    /// Who waits for a request that is on its way, by what it asks.
    var waiting: [String: [@Sendable () -> Void]] = [:]
  }

  init(
    _ settings: MembershipWebhookSettings, secret: [UInt8], clock: MonotonicClock, wall: WallClock, log: Logger,
    metrics: MembershipMetrics? = nil, post: @escaping Post
  ) {
    self.settings = settings
    key = SymmetricKey(data: secret)
    self.clock = clock
    self.wall = wall
    self.log = log
    self.metrics = metrics
    self.post = post
    state = Mutex(State())
  }

  /// What is known now; `nil`: ``ask(_:_:done:)``.
  func decision(_ user: String, _ topic: Topic) -> MembershipCache.Decision? {
    let now = clock.now
    return state.withLock {
      $0.cache.decision(user, topic, at: now) ?? $0.unavailable.decision(user, topic, at: now)
    }
  }

  /// Calls `done` when there is a decision for each topic. The same question that is asked meanwhile waits with it.
  func ask(_ user: String, _ topics: [Topic], done: @escaping @Sendable () -> Void) {
    let body = MembershipWebhook.body(user, topics)
    let question = String(decoding: body, as: UTF8.self)
    let now = clock.now
    let mustAsk = state.withLock { state -> Bool? in
      if state.waiting[question] != nil {
        state.waiting[question]?.append(done)
        return false
      }
      guard state.waiting.count < GatewayLimits.webhookRequestsMax,
        state.budget.mayAsk(user, topics: topics.count, at: now)
      else {
        putOff(user, topics, in: &state, at: now)
        return nil
      }
      guard state.breaker.mayAsk(at: now) else {
        state.budget.answered(user)
        putOff(user, topics, in: &state, at: now)
        return nil
      }
      state.waiting[question] = [done]
      return true
    }
    switch mustAsk {
    case nil:
      metrics?.refused()
      done()
    case true?:
      // Ends with the answer or the timeout, and always answers who waits.
      Task { await self.request(user, topics, body, question) }
    case false?: break
    }
  }

  private func request(_ user: String, _ topics: [Topic], _ body: [UInt8], _ question: String) async {
    var allowed: Set<String>?
    // Of this question it says nothing; the next may go better.
    var refused = false
    do {
      let answer = try await post(body, signature(of: body))
      refused = (400..<500).contains(answer.status) && answer.status != 429
      allowed = try MembershipWebhook.allowed(answer)
    } catch {
      log.warning("membership webhook did not decide", metadata: ["url": "\(settings.url)", "error": "\(error)"])
    }
    let (decided, answers) = (allowed, allowed != nil || refused)
    let now = clock.now
    let (waiting, change) = state.withLock { state in
      let wasOpen = state.breaker.isOpen
      state.budget.answered(user)
      if answers { state.breaker.succeeded() } else { state.breaker.failed(at: now) }
      if let decided {
        for topic in topics {
          state.cache.put(
            decided.contains(topic.name) ? .allowed : .denied, user, topic, until: now + settings.cache)
        }
      } else {
        putOff(user, topics, in: &state, at: now)
      }
      let change: Bool? = state.breaker.isOpen == wasOpen ? nil : state.breaker.isOpen
      return (state.waiting.removeValue(forKey: question) ?? [], change)
    }
    metrics?.asked(succeeded: decided != nil)
    if let change {
      metrics?.breaker(isOpen: change)
      if change {
        log.error("membership webhook is left alone for a while", metadata: ["url": "\(settings.url)"])
      } else {
        log.notice("membership webhook answers again", metadata: ["url": "\(settings.url)"])
      }
    }
    for done in waiting { done() }
  }

  private func putOff(_ user: String, _ topics: [Topic], in state: inout State, at now: MonotonicInstant) {
    for topic in topics {
      state.unavailable.put(.unavailable, user, topic, until: now + GatewayLimits.webhookRetryTime)
    }
  }

  // MARK: The wire

  private static func body(_ user: String, _ topics: [Topic]) -> [UInt8] {
    var json = JSONWriter(capacity: 64 + 40 * topics.count)
    json.object {
      $0.member("userId", user)
      $0.key("topics")
      $0.array { for topic in topics { $0.string(topic.name) } }
    }
    return json.bytes
  }

  private func signature(of body: [UInt8]) -> String {
    let seconds = wall.milliseconds / 1000
    let code = HMAC<SHA256>.authenticationCode(for: Array("\(seconds).".utf8) + body, using: key)
    let digits = Array("0123456789abcdef")
    return "t=\(seconds),v1=" + String(code.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  private static func allowed(_ answer: WebClient.Answer) throws -> Set<String> {
    guard answer.status == 200 else { throw MembershipError(what: "the answer was HTTP \(answer.status)") }
    return try answer.body.withUnsafeBytes { bytes in
      let json = try JSONView(validating: bytes)
      guard let allowed = json["allowed"], allowed.kind == .array else {
        throw MembershipError(what: "the answer has no list \"allowed\"")
      }
      return Set(allowed.elements.compactMap(\.string))
    }
  }
}

struct MembershipError: Error, CustomStringConvertible {
  var what: String
  var description: String { what }
}

/// What is measured of the webhook.
struct MembershipMetrics: Sendable {
  private let requests: CounterFamily
  private let open: Gauge

  init(_ registry: MetricsRegistry) {
    requests = registry.counter(
      "avalo_membership_requests_total",
      help:
        "Questions for the membership webhook, by result; refused ones were not asked: it is left alone, or the user asks too much.",
      labels: ["result": ["success", "failure", "refused"]])
    open = registry.gauge(
      "avalo_membership_breaker_open", help: "1 while the membership webhook is left alone after failures.")
  }

  func asked(succeeded: Bool) { requests.with(succeeded ? "success" : "failure").add(1) }
  func refused() { requests.with("refused").add(1) }
  func breaker(isOpen: Bool) { open.set(isOpen ? 1 : 0) }
}
