import AvaloCore
import AvaloMetrics
import AvaloStore
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloScheduler

/// What the scheduler tells of an event.
@Suite(.timeLimit(.minutes(1))) struct TraceRouteTests {
  private let engine: Engine
  private let routes = HTTPRoutes()
  private let link = LinkID(rawValue: 1)

  init() throws {
    let metrics = SchedulerMetrics(MetricsRegistry())
    engine = Engine(SchedulerSettings(), metrics: metrics, wall: .system, monotonic: .system, log: CoreBench.quiet)
    let log = MemoryEventLog(nowMilliseconds: CoreBench.start)
    let core = try SchedulerCore(
      log: log, settings: SchedulerSettings(), metrics: metrics, logger: CoreBench.quiet, at: engine.now)
    let reader = HandedOver(try log.reader())
    try engine.start(HandedOver(core)) { _ in }
    ControlRoutes(engine: engine, pages: ControlPages(reader, wall: .system)).add(to: routes)
    _ = engine.post(.linkOpened(link, instance: "gateway.0", incarnation: 1, gauge: LinkGauge()))
  }

  private func publish(_ topic: String, _ id: String, deliverAt: Int64 = 0) {
    _ = engine.post(
      .publish(
        link, correlation: 1,
        Publish(
          owner: "shop", topic: Topic(topic)!, contentHash: 1, deliverAtMilliseconds: deliverAt,
          record: CoreBench.record("{}", id: id))))
  }

  private func attach(_ session: UInt64, _ device: String, _ topics: [String]) {
    _ = engine.post(
      .attach(
        link, correlation: 2,
        Attach(
          session: session, token: TokenName(user: "ann", tokenID: "", issuedAtMilliseconds: 0), device: device,
          platform: .web, topics: topics.map { Attach.Wanted(Topic($0)!, isGranted: true) }, ticket: "")))
  }

  /// What was posted before has been done.
  private func trace(_ query: String) async -> (status: Int, text: String) {
    let response = await routes.answer(HTTPRequest(method: "GET", path: "/trace", query: query))
    return (response.status, String(decoding: response.body, as: UTF8.self))
  }
  private func settle() async {
    _ = await routes.answer(HTTPRequest(method: "GET", path: "/log"))
  }

  @Test func tellsWhoPublishedItWhereItLiesAndWhoStandsWhere() async throws {
    attach(1, "phone", ["user:ann"])
    attach(2, "tablet", ["user:ann"])
    publish("user:ann", "evt_0")
    publish("user:ann", "evt_1")
    _ = engine.post(.detach(link, Detach(sessions: [2])))
    await settle()
    let told = await trace("event=evt_1&owners=blog,shop")
    #expect(told.status == 200)
    #expect(told.text.contains(#"{"eventId":"evt_1","now":"#))
    #expect(
      told.text.contains(#""copies":[{"topic":"user:ann","state":"kept","owner":"shop","keptAt":"#), "\(told.text)")
    #expect(told.text.contains(#""offset":2,"eventId":"evt_1","type":"notification""#))
    #expect(told.text.contains(#""class":"durable""#))
    #expect(told.text.contains(#""head":2,"floor":0,"watchers":0"#))
    #expect(told.text.contains(#""device":"phone","platform":"web","seenAt":"#))
    // One is there, the other has gone; neither has acknowledged.
    #expect(told.text.contains(#""open":true,"cursor":0"#) && told.text.contains(#""open":false,"cursor":0"#))
    engine.stop()
  }

  @Test func tellsOfATopicsDevicesAlone() async throws {
    attach(1, "phone", ["user:ann", "feed:news"])
    await settle()
    // Nothing was ever published there, and the device stands at its beginning.
    let told = await trace("topic=feed:news")
    #expect(told.status == 200 && told.text.contains(#""copies":[]"#))
    #expect(told.text.contains(#"{"name":"feed:news","devices":[{"user":"ann","device":"phone""#), "\(told.text)")
    #expect(told.text.contains(#""open":true,"cursor":0"#))
    engine.stop()
  }

  @Test func tellsThatAnEventIsHeld() async throws {
    let due = WallClock.system.milliseconds + 3_600_000
    publish("user:ann", "evt_later", deliverAt: due)
    await settle()
    let told = await trace("event=evt_later&owners=shop")
    #expect(told.text.contains(#"{"topic":"user:ann","state":"held","due":\#(due),"owner":"shop""#), "\(told.text)")
    engine.stop()
  }

  @Test func tellsThatAnEventWasTakenBack() async throws {
    publish("user:ann", "evt_later", deliverAt: WallClock.system.milliseconds + 3_600_000)
    _ = engine.post(
      .broadcasts(
        link, correlation: 3, .cancelDelayed(CancelDelayed(owner: "shop", eventID: "evt_later", topic: "user:ann"))))
    await settle()
    // Its key is gone with it; that it was taken back is known for longer.
    for _ in 0..<3 { await settle() }
    let told = await trace("event=evt_later&owners=shop&topic=user:ann")
    #expect(await trace("event=evt_later&owners=shop&topic=user:bob").text.contains(#""copies":[]"#))
    #expect(told.text.contains(#"{"topic":"user:ann","state":"cancelled","owner":"shop""#), "\(told.text)")
    engine.stop()
  }

  @Test func knowsNothingOfWhatWasNeverPublished() async throws {
    let told = await trace("event=evt_none&owners=shop")
    #expect(told.status == 200 && told.text.contains(#""copies":[],"topics":[]"#))
    engine.stop()
  }

  @Test(arguments: ["", "owners=shop", "event=", "topic=", "topic=nothing", "event=e&topic=no%20topic"])
  func saysHowToAsk(query: String) async throws {
    let told = await trace(query)
    #expect(told.status == 400 && told.text.contains("/trace?event="))
    engine.stop()
  }

  // MARK: - What became of it

  private func copy(offset: UInt64, expires: Int64?, due: Int64? = nil, topic: String? = "user:ann") -> TraceRoute.Copy
  {
    let record = expires.map { expires in
      var record = CoreBench.record("{}", id: "evt_1")
      record.withUnsafeMutableBytes { EventRecord.setExpiry(expires, in: $0) }
      return record
    }
    return TraceRoute.Copy(topic: topic, offset: offset, record: record, due: due)
  }

  @Test func aCopyIsKeptHeldExpiredOrEvicted() {
    func state(_ copy: TraceRoute.Copy) -> String { TraceDocument.state(of: copy, floor: 5, now: 1000) }
    #expect(state(copy(offset: 6, expires: 1001)) == "kept")
    #expect(state(copy(offset: 6, expires: 1000)) == "expired", "it is there, and given to nobody any more")
    #expect(state(copy(offset: 6, expires: nil)) == "expired", "known by its key alone")
    #expect(state(copy(offset: 5, expires: nil)) == "evicted")
    #expect(state(copy(offset: 0, expires: 2000, due: 1500)) == "held")
    #expect(state(copy(offset: 0, expires: nil)) == "cancelled", "held once, and never appended")
    // A broadcast has no one place.
    #expect(state(copy(offset: 0, expires: 1001, topic: nil)) == "kept")
  }

  @Test func aKeySaysWhoPublishedEachCopyAndWhatIsGone() {
    func accepted(_ topic: String?, _ hash: UInt64, offset: UInt64) -> EventTrace.Accepted {
      EventTrace.Accepted(
        topic: topic, owner: "shop", key: StoredKey(hash: hash, content: 1, offset: offset, accepted: 900, until: 9000))
    }
    var trace = EventTrace()
    trace.kept = [
      .init(topic: "user:ann", offset: 3, record: CoreBench.record("{}", id: "e")),
      .init(topic: nil, offset: 0, record: CoreBench.record("{}", id: "e"), recipients: 40),
    ]
    trace.held = [DelayedEvent(due: 5000, topic: "user:zoe", hash: 7, content: 1, record: [])]
    trace.accepted = [
      accepted("user:ann", 1, offset: 3), accepted(nil, 2, offset: 40), accepted("user:bob", 3, offset: 8),
      accepted("user:zoe", 7, offset: 0),
    ]
    let copies = TraceRoute.Copy.all(of: trace)
    #expect(copies.map(\.topic) == ["user:ann", nil, "user:bob", "user:zoe"])
    #expect(copies.map(\.offset) == [3, 0, 8, 0])
    #expect(copies.map(\.recipients) == [0, 40, 0, 0])
    #expect(copies.map(\.due) == [nil, nil, nil, 5000])
    #expect(copies.allSatisfy { $0.accepted?.owner == "shop" })
  }
}
