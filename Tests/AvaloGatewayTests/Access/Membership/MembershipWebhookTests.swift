import AvaloCore
import AvaloSystem
import AvaloWeb
import AvaloWire
import Crypto
import Logging
import Synchronization
import Testing

@testable import AvaloGateway

/// A backend that says who is a member; it is the test.
@Suite struct MembershipWebhookTests {
  private let clock = AvaloSystem.ManualClock(wallMilliseconds: testNow)
  private let chat = Topic("chat:c1")!
  private let other = Topic("chat:c2")!

  /// What it was asked, and what it answers.
  private final class Backend: Sendable {
    let asked = Mutex<[(body: String, signature: String)]>([])
    let answer = Mutex(WebClient.Answer(status: 200, body: Array(#"{"allowed":["chat:c1"]}"#.utf8)))

    func post(_ body: [UInt8], _ signature: String) -> WebClient.Answer {
      asked.withLock { $0.append((String(decoding: body, as: UTF8.self), signature)) }
      return answer.withLock { $0 }
    }
    func answers(_ status: Int, _ body: String) {
      answer.withLock { $0 = WebClient.Answer(status: status, body: Array(body.utf8)) }
    }
    var count: Int { asked.withLock { $0.count } }
  }

  private func webhook(_ backend: Backend) throws -> MembershipWebhook {
    let settings = try gatewaySettings(
      #"{"auth":{"secret_file":"s"},"membership_webhook":{"url":"https://x/","secret_file":"w"}}"#)
    return MembershipWebhook(
      try #require(settings.membershipWebhook), secret: Array(testSecret.utf8), clock: clock.monotonic,
      wall: clock.wall, log: Logger(label: "test"), post: { backend.post($0, $1) })
  }

  private func ask(_ webhook: MembershipWebhook, _ user: String = "ann") async {
    await withCheckedContinuation { done in webhook.ask(user, [chat, other]) { done.resume() } }
  }

  @Test func asksOnceSignedAndRemembersForAWhile() async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    #expect(webhook.decision("ann", chat) == nil)
    await ask(webhook)
    #expect(webhook.decision("ann", chat) == .allowed && webhook.decision("ann", other) == .denied)
    #expect(webhook.decision("bob", chat) == nil)
    let request = try #require(backend.asked.withLock { $0.first })
    #expect(request.body == #"{"userId":"ann","topics":["chat:c1","chat:c2"]}"#)
    // As a backend checks it.
    let seconds = testNow / 1000
    let code = HMAC<SHA256>.authenticationCode(
      for: Array("\(seconds).\(request.body)".utf8), using: SymmetricKey(data: Array(testSecret.utf8)))
    let hex = code.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(request.signature == "t=\(seconds),v1=\(hex)")
    clock.advance(by: .seconds(60))
    #expect(webhook.decision("ann", chat) == nil)
  }

  @Test(arguments: [(500, ""), (200, "{}"), (200, "no"), (302, ""), (200, #"{"allowed":"chat:c1"}"#)])
  func anAnswerThatIsNoneDecidesNothing(status: Int, body: String) async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    backend.answers(status, body)
    await ask(webhook)
    #expect(webhook.decision("ann", chat) == .unavailable)
    clock.advance(by: .seconds(1))
    #expect(webhook.decision("ann", chat) == nil)
  }

  @Test func isLeftAloneAfterFailuresWhileWhatIsRememberedHolds() async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    await ask(webhook)
    backend.answers(503, "")
    for number in 0..<GatewayLimits.webhookFailuresMax { await ask(webhook, "user\(number)") }
    let count = backend.count
    await ask(webhook, "zoe")
    #expect(backend.count == count, "it is not asked")
    #expect(webhook.decision("zoe", chat) == .unavailable)
    #expect(webhook.decision("ann", chat) == .allowed)
    backend.answers(200, #"{"allowed":["chat:c1"]}"#)
    clock.advance(by: GatewayLimits.webhookOpenTime)
    await ask(webhook, "zoe")
    #expect(webhook.decision("zoe", chat) == .allowed)
  }

  /// Answers that a user brings about by what they ask are no failures of the backend.
  @Test func isNotLeftAloneForWhatOneUserAsks() async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    backend.answers(404, "")
    for number in 0..<GatewayLimits.webhookFailuresMax * 2 { await ask(webhook, "user\(number)") }
    #expect(webhook.decision("user0", chat) == .unavailable)
    backend.answers(200, #"{"allowed":["chat:c1"]}"#)
    await ask(webhook, "zoe")
    #expect(webhook.decision("zoe", chat) == .allowed)
    backend.answers(429, "")
    for number in 0..<GatewayLimits.webhookFailuresMax { await ask(webhook, "user\(number)") }
    backend.answers(200, #"{"allowed":["chat:c1"]}"#)
    await ask(webhook, "ida")
    #expect(webhook.decision("ida", chat) == .unavailable, "it has said that it is asked too much")
  }

  @Test func oneUserCannotHaveItAskedWithoutEnd() async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    let ask = { (user: String, number: Int) in
      await withCheckedContinuation { done in
        webhook.ask(user, [Topic("chat:made-up\(number)")!]) { done.resume() }
      }
    }
    for number in 0..<GatewayLimits.webhookTopicsPerUserMax + 50 { await ask("mal", number) }
    #expect(backend.count == GatewayLimits.webhookTopicsPerUserMax)
    await ask("ann", 1)
    #expect(backend.count == GatewayLimits.webhookTopicsPerUserMax + 1, "others are not held up")
    clock.advance(by: GatewayLimits.webhookBudgetTime)
    await ask("mal", 0)
    #expect(backend.count == GatewayLimits.webhookTopicsPerUserMax + 2)
  }

  @Test func oneUserHasFewQuestionsOnTheirWay() {
    var budget = QuestionBudget()
    let now = clock.monotonic.now
    let first = (0..<GatewayLimits.webhookRequestsPerUserMax).map { _ in budget.mayAsk("mal", topics: 1, at: now) }
    #expect(!first.contains(false))
    let (oneMore, others) = (budget.mayAsk("mal", topics: 1, at: now), budget.mayAsk("ann", topics: 1, at: now))
    #expect(!oneMore && others)
    budget.answered("mal")
    let again = budget.mayAsk("mal", topics: 1, at: now)
    #expect(again)
  }

  @Test func theCacheIsBoundedAndKeepsWhatIsAskedFor() {
    var cache = MembershipCache(max: 10)
    let now = clock.monotonic.now
    for number in 0..<100 {
      cache.put(.allowed, "user\(number)", chat, until: now + .seconds(60))
      #expect(cache.decision("user0", chat, at: now) == .allowed)
      #expect(cache.count <= 11)
    }
    #expect(cache.decision("user50", chat, at: now) == nil)
  }

  // MARK: - Subscribing

  /// A log that has ann as a member of these chats.
  private func servicesWithMembers(_ chats: [String]) -> FakeServices {
    let services = FakeServices()
    services.answer = { request in
      guard let query = request as? MembershipQuery else { return .failure(CallError(.internal, "not played")) }
      return .success(MembershipAnswer(since: query.entries.map { chats.contains($0.chat) ? 1 : 0 }))
    }
    return services
  }

  private func access(_ webhook: MembershipWebhook) throws -> AvaloGateway.Access {
    var settings = try gatewaySettings(#"{"auth":{"secret_file":"s"}}"#)
    settings.flags.engine.rollout = 10_000
    return AvaloGateway.Access(
      settings: settings, authenticator: Authenticator(keys: VerificationKeys(), settings: settings.auth),
      apiKeys: APIKeys(), tickets: Tickets(key: [UInt8](repeating: 7, count: 32)), revocations: .current(),
      membership: webhook)
  }

  @Test func aSubscriptionWaitsForItsWord() async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    let services = servicesWithMembers([])
    let context = CallContext(
      services: services, access: SharedAccess(try access(webhook)), admission: Admission(), wall: clock.wall,
      monotonic: clock.monotonic)
    let callable = try #require(CallTable.find("subscribeToRealtimeEventsV1".utf8))
    var answers: [Result<[UInt8], CallError>] = []
    func subscribe() throws {
      try Array(#"{"subscriptions":["chat:c1","chat:c2"]}"#.utf8).withUnsafeBytes { text in
        let request = CallRequest(
          data: try JSONView(validating: text), caller: .user(identity("ann")),
          carrier: .http(host: "rt.example.com", secure: true))
        CallTable.invoke(callable, request, context) { answers.append($0) }
      }
    }
    try subscribe()
    #expect(answers.isEmpty && services.membershipQueries == [["chat:c1", "chat:c2"]])
    await ask(webhook)
    services.membershipWaits.removeFirst()()
    let answer = String(decoding: try #require(answers.first).get(), as: UTF8.self)
    #expect(answer.contains(#""subscriptions":["chat:c1"],"denied":[{"topic":"chat:c2","code":"PERMISSION_DENIED"}]"#))

    // Known now: nobody is asked. Not to be known: come back.
    try subscribe()
    #expect(answers.count == 2 && services.membershipQueries.count == 1)
    clock.advance(by: .seconds(61))
    backend.answers(500, "")
    try subscribe()
    await ask(webhook)
    services.membershipWaits.removeFirst()()
    #expect(throws: CallError.membershipUnknown) { try #require(answers.last).get() }
  }

  @Test func whoTypesWaitsForItsWordToo() async throws {
    let webhook = try webhook(Backend())
    let services = servicesWithMembers([])
    let context = CallContext(
      services: services, access: SharedAccess(try access(webhook)), admission: Admission(), wall: clock.wall,
      monotonic: clock.monotonic)
    var answers: [Result<[UInt8], CallError>] = []
    func type(_ chat: String) throws {
      try Array(#"{"chatId":"\#(chat)","isTyping":true}"#.utf8).withUnsafeBytes { text in
        let request = CallRequest(
          data: try JSONView(validating: text), caller: .user(identity("ann")),
          carrier: .http(host: nil, secure: true))
        CallTable.invoke(SendTypingIndicator.self, request, context) { answers.append($0) }
      }
    }
    for chat in ["c1", "c2"] { try type(chat) }
    #expect(answers.isEmpty && services.typed.isEmpty && services.membershipQueries == [["chat:c1"], ["chat:c2"]])
    await ask(webhook)
    for wait in services.membershipWaits { wait() }
    #expect(services.typed.map(\.chat) == ["c1"])
    #expect(throws: CallError(.permissionDenied, "the user is not in the chat c2")) { try #require(answers.last).get() }
  }

  @Test func aConnectionWaitsForItsWordToo() async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    let loop = try TestLoop()
    loop.mail(.policy(GatewayPolicy(try access(webhook))))
    loop.linkUp()
    let ann = loop.open()
    let request = ConnectRequest(subscriptions: ["chat:c1", "chat:c2"])
    loop.turn { loop.hub.connect(loop.hub.session(of: ann)!, identity("ann"), request) }
    #expect(try loop.port.take(Attach.self).isEmpty)
    let question = try #require(loop.port.requests.last)
    await ask(webhook)
    loop.mail(.service(id: question.id, .success(.membershipDecided)))
    loop.turn()
    let attach = try #require(try loop.port.take(Attach.self).last)
    // Whom it does not allow, the log may have as a member.
    #expect(
      Set(attach.message.topics) == [.init(chat, isGranted: true), .init(other, isGranted: false)])
    answer(loop, attach)
    #expect(
      loop.take(ann).first?.contains(
        #""subscriptions":["chat:c1"],"denied":[{"topic":"chat:c2","code":"PERMISSION_DENIED"}]"#) == true)
  }

  /// Grants what the gateway has granted, and denies the rest.
  private func answer(_ loop: TestLoop, _ attach: (message: Attach, correlation: UInt32)) {
    loop.scheduler {
      $0.frame(
        Attached(
          answers: attach.message.topics.map {
            $0.isGranted
              ? .granted(Position(epoch: testEpoch, offset: 0), since: 0) : .denied(.permissionDenied)
          }), correlation: attach.correlation)
    }
  }

  @Test func aMemberNeedsNoWordOfIt() async throws {
    let backend = Backend()
    backend.answers(500, "")
    let webhook = try webhook(backend)
    let services = servicesWithMembers(["c2"])
    let context = CallContext(
      services: services, access: SharedAccess(try access(webhook)), admission: Admission(), wall: clock.wall,
      monotonic: clock.monotonic)
    await ask(webhook)
    var answers: [Result<[UInt8], CallError>] = []
    try Array(#"{"subscriptions":["chat:c1","chat:c2"]}"#.utf8).withUnsafeBytes { text in
      let request = CallRequest(
        data: try JSONView(validating: text), caller: .user(identity("ann")),
        carrier: .http(host: "rt.example.com", secure: true))
      CallTable.invoke(SubscribeToRealtimeEvents.self, request, context) { answers.append($0) }
    }
    // Of the other chat it is told that it may be had another time.
    let answer = String(decoding: try #require(answers.first).get(), as: UTF8.self)
    #expect(answer.contains(#""subscriptions":["chat:c2"],"denied":[{"topic":"chat:c1","code":"UNAVAILABLE"}]"#))
  }

  @Test func aConnectionThatOnlyItCanLetInComesAnotherTime() async throws {
    let backend = Backend()
    backend.answers(500, "")
    let webhook = try webhook(backend)
    let loop = try TestLoop()
    loop.mail(.policy(GatewayPolicy(try access(webhook))))
    loop.linkUp()
    await ask(webhook)
    let ann = loop.open()
    loop.turn {
      loop.hub.connect(
        loop.hub.session(of: ann)!, identity("ann"), ConnectRequest(subscriptions: ["chat:c1", "chat:c2"]))
    }
    answer(loop, try #require(try loop.port.take(Attach.self).last))
    #expect(loop.closes[ann.slot] == CloseCode.unavailable.rawValue)
  }

  /// Nobody keeps what only the last token gave because the webhook is away.
  @Test func aNewTokenTakesAwayWhatTheLastOneGaveThoughTheWebhookIsAway() async throws {
    let backend = Backend()
    backend.answers(500, "")
    let webhook = try webhook(backend)
    let loop = try TestLoop()
    loop.mail(.policy(GatewayPolicy(try access(webhook))))
    loop.linkUp()
    let ann = loop.open()
    var identity = identity("ann", chats: ["c1"])
    identity.expiresAtMilliseconds = .max
    loop.turn {
      loop.hub.connect(
        loop.hub.session(of: ann)!, identity, ConnectRequest(subscriptions: ["user:ann", "chat:c1"]))
    }
    answer(loop, try #require(try loop.port.take(Attach.self).last))
    _ = loop.take(ann)
    let last = identity
    identity.chats = []
    let session = try #require(loop.hub.session(of: ann))
    session.identify(identity)
    loop.turn { loop.hub.judgeAnew(session, identity, after: last) }
    let question = try #require(loop.port.requests.last)
    await ask(webhook)
    loop.mail(.service(id: question.id, .success(.membershipDecided)))
    loop.turn()
    let cursors = try #require(try loop.port.take(Cursors.self).first)
    #expect(cursors.message.topics == [.init(chat, isGranted: false)], "the log may know of a membership")
    loop.scheduler { $0.frame(Attached(answers: [.denied(.permissionDenied)]), correlation: cursors.correlation) }
    #expect(
      loop.take(ann).map { $0.hasPrefix(#"{"unsubscribed":{"topic":"chat:c1","code":"UNAVAILABLE""#) } == [true])
  }

  /// A token that names a chat no more: the webhook is asked, and then the log.
  @Test func aNewTokenWaitsForItsWordToo() async throws {
    let backend = Backend()
    let webhook = try webhook(backend)
    let loop = try TestLoop()
    loop.mail(.policy(GatewayPolicy(try access(webhook))))
    loop.linkUp()
    let ann = loop.open()
    var identity = identity("ann", chats: ["c1", "c2"])
    identity.expiresAtMilliseconds = .max
    loop.turn {
      loop.hub.connect(
        loop.hub.session(of: ann)!, identity, ConnectRequest(subscriptions: ["chat:c1", "chat:c2"]))
    }
    answer(loop, try #require(try loop.port.take(Attach.self).last))
    _ = loop.take(ann)
    let last = identity
    identity.chats = []
    let session = try #require(loop.hub.session(of: ann))
    session.identify(identity)
    loop.turn { loop.hub.judgeAnew(session, identity, after: last) }
    let question = try #require(loop.port.requests.last)
    #expect(try loop.port.take(Cursors.self).isEmpty && loop.take(ann).isEmpty)
    await ask(webhook)
    loop.mail(.service(id: question.id, .success(.membershipDecided)))
    loop.turn()
    let cursors = try #require(try loop.port.take(Cursors.self).first)
    #expect(cursors.message.topics == [.init(other, isGranted: false)])
    loop.scheduler { $0.frame(Attached(answers: [.denied(.permissionDenied)]), correlation: cursors.correlation) }
    #expect(
      loop.take(ann).map { $0.hasPrefix(#"{"unsubscribed":{"topic":"chat:c2","code":"PERMISSION_DENIED""#) } == [true])
  }
}
