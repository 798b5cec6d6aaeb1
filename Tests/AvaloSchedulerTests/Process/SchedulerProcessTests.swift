import AvaloCore
import AvaloTesting
import AvaloWire
import Testing

/// The worker as its gateways and avalod meet it: a process with a socket.
@Suite(.timeLimit(.minutes(2))) struct SchedulerProcessTests {
  private func start(_ settings: String = "{}", in folder: TestFolder = TestFolder()) async throws -> WorkerProcess {
    try await WorkerProcess.start("avalo-scheduler", sockets: ["metrics", "link"], settings: settings, in: folder)
  }

  private func publish(_ topic: String, id: String, as correlation: UInt32, _ writer: inout WireWriter) {
    writer.frame(
      Publish(
        owner: "shop", topic: Topic(topic)!, contentHash: 1, record: CoreBench.record(#"{"n":1}"#, id: id)),
      correlation: correlation)
  }

  @Test func keepsWhatItAnsweredAndAnswersWhatItWasAskedBeforeItStops() async throws {
    let folder = TestFolder()
    var worker = try await start(in: folder)
    var gateway = GatewayEnd()
    let generation = try await gateway.link(to: "\(folder.path)/link.sock")
    try await gateway.send { writer in
      for number in 1...2000 { publish("user:\(number % 7)", id: "\(number)", as: UInt32(number), &writer) }
    }
    let answers = await gateway.told(2000)
    #expect(answers.count { if case .published = $0 { true } else { false } } == 2000)
    #expect(try await worker.process.stop() == .exit(0))
    #expect(await gateway.next() == .closed)
    try await gateway.stop()

    worker = try await start(in: folder)
    gateway = GatewayEnd(incarnation: 2)
    #expect(try await gateway.link(to: "\(folder.path)/link.sock") == generation, "closed in good order")
    try await gateway.send { publish("user:1", id: "1", as: 1, &$0) }
    guard case .published(1, let again)? = await gateway.told().first else {
      Issue.record("not answered")
      return
    }
    #expect(again.duplicate && again.position.offset == 1)
    try await gateway.stop()
    #expect(try await worker.process.stop() == .exit(0))
  }

  /// A new link is told the generation there is, not the one there was when the worker started.
  @Test func welcomesWithThePresentGeneration() async throws {
    let worker = try await start()
    let socket = "\(worker.folder.path)/link.sock"
    let first = GatewayEnd(incarnation: 1)
    let before = try #require(try await first.link(to: socket))
    try await first.send { publish("user:ann", id: "1", as: 1, &$0) }
    guard case .published(_, let published)? = await first.told().first else {
      Issue.record("not answered")
      return
    }
    let ahead = Position(epoch: published.position.epoch, offset: 5)
    try await first.send { $0.frame(Watch(entries: [.init(handle: 1, topic: Topic("user:ann")!, position: ahead)])) }
    guard case .watched(_, let heads)? = await first.told().first else {
      Issue.record("not answered")
      return
    }
    #expect(heads[0].position.epoch.generation > before)
    let second = GatewayEnd(incarnation: 2)
    #expect(try await second.link(to: socket) == heads[0].position.epoch.generation)
    try await first.stop()
    try await second.stop()
    #expect(try await worker.process.stop() == .exit(0))
  }

  @Test func answersWhatPeopleAsk() async throws {
    let worker = try await start()
    let gateway = GatewayEnd()
    let generation = try #require(try await gateway.link(to: "\(worker.folder.path)/link.sock"))
    try await gateway.send { writer in
      publish("user:ann", id: "1", as: 1, &writer)
      writer.frame(
        Attach(
          session: 1, token: TokenName(user: "ann"), device: "phone", platform: .ios,
          topics: [.init(Topic("user:ann")!, isGranted: true)]), correlation: 2)
    }
    #expect(await gateway.told(2).count == 2)

    let log = try await worker.ask("/log")
    #expect(log.status == 200 && log.headers["content-type"] == "application/json")
    #expect(log.body.contains(#""generation":\#(generation),"durability":"os","healthy":true,"holdingDeletion":false"#))
    #expect(log.body.contains(#""links":1,"sessions":1,"watches":0}"#))
    let topic = try await worker.ask("/topics?name=user%3Aann")
    #expect(topic.body.contains(#"{"name":"user:ann","epoch":""#))
    #expect(topic.body.contains(#""head":1,"floor":0,"watchers":0,"bytes":"#))
    let devices = try await worker.ask("/devices?user=ann")
    #expect(devices.body.hasPrefix(#"{"devices":[{"device":"phone","platform":"ios","seenAt":1"#))
    #expect(devices.body.hasSuffix(#","open":true}]}"#))
    #expect(try await worker.ask("/devices?user=nobody").body == #"{"devices":[]}"#)
    #expect(try await worker.ask("POST", "/trust-clock").body == #"{"done":true}"#)

    let unknown = try await worker.ask("/topics?name=user:bob")
    #expect(unknown.status == 404 && unknown.body == #"{"error":"nothing was ever published to user:bob"}"#)
    for wrong in ["/topics", "/topics?name=", "/topics?name=user", "/devices", "/devices?user=a%20b"] {
      let answer = try await worker.ask(wrong)
      #expect(answer.status == 400 && answer.body.hasPrefix(#"{"error":"name a "#), "\(wrong): \(answer.body)")
    }
    #expect(try await worker.ask("/trust-clock").status == 405)
    try await gateway.stop()
    #expect(try await worker.process.stop() == .exit(0))
  }

  @Test func takesLinksOfGatewaysOnly() async throws {
    let worker = try await start(#"{"durability": "memory"}"#)
    let link = try await RawLink.refused(by: "\(worker.folder.path)/link.sock")
    #expect(link.contains("only gateways and plugins link to the scheduler, not presence"))
    #expect(try await worker.process.stop() == .exit(0))
  }
}
