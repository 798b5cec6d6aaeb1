import AvaloCore
import AvaloTesting
import AvaloWire
import Foundation
import Testing

@testable import AvaloPresence

/// The real worker, with gateways played by the test.
@Suite(.serialized) struct PresenceProcessTests {
  static let settings =
    #"{"ping_interval":"1s","grace":"1s","linger_clean":"1s","linger_drop":"2s","sweep_interval":"1s"}"#

  private func start(
    in folder: TestFolder = TestFolder(), _ settings: String = settings
  ) async throws -> WorkerProcess {
    try await WorkerProcess.start("avalo-presence", sockets: ["link", "metrics"], settings: settings, in: folder)
  }

  private func online(_ gateway: GatewayPlayer, _ users: String...) async throws -> [Bool] {
    try await gateway.ask(PresenceQuery(users: users), PresenceAnswer.self).entries.map { $0.state.status == .online }
  }

  private func waitUntil(_ what: String, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while try await !condition() {
      guard ContinuousClock.now < deadline else { throw TimeIsUp(what: "until \(what)") }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test func lingersAndRowsOutliveTheWorker() async throws {
    let folder = TestFolder()
    let settings = #"{"ping_interval":"60s","linger_clean":"4s"}"#
    let first = try await start(in: folder, settings)
    let gateway = try await GatewayPlayer.link(in: folder)
    gateway.snapshot([.of("ann", 1), .of("bob", 2)])
    gateway.send(SessionsClosed(entries: [.init(session: 1, clean: true)]))
    let closed = ContinuousClock.now
    #expect(try await online(gateway, "ann", "bob", "eve") == [true, true, false])
    // Long enough for the batch to be written; then without a goodbye.
    try await waitUntil("all is written") { try await first.metric("avalo_presence_unwritten_rows") == 0 }
    first.process.signal(SIGKILL)
    _ = try await first.process.ending()
    try await gateway.unlink()

    let second = try await start(in: folder, settings)
    let again = try await GatewayPlayer.link(in: folder, incarnation: 8)
    again.snapshot([])
    #expect(try await online(again, "ann", "bob", "eve") == [true, true, false], "the other gateway may come back")
    try await waitUntil("ann's linger is over") { try await online(again, "ann") == [false] }
    #expect(ContinuousClock.now - closed > .milliseconds(3500))
    #expect(try await online(again, "bob") == [true])
    try await second.process.stop()
  }

  @Test func ghostsGoWithTheirGateway() async throws {
    let worker = try await start()
    let gateway = try await GatewayPlayer.link(in: worker.folder)
    gateway.snapshot([.of("ann", 1)])
    let other = try await GatewayPlayer.link(in: worker.folder, incarnation: 8)
    other.snapshot([])
    #expect(try await online(other, "ann") == [true])
    let cut = ContinuousClock.now
    try await gateway.unlink()
    try await waitUntil("ann is gone") { try await online(other, "ann") == [false] }
    let took = ContinuousClock.now - cut
    #expect(took > .milliseconds(1500) && took < .seconds(20), "ping interval and grace, not \(took)")
    try await worker.process.stop()
  }

  private func watch(_ gateway: GatewayPlayer, _ users: String..., versions: [UInt64] = []) {
    gateway.send(
      WatchPresence(
        entries: users.enumerated().map {
          .init(handle: UInt32($0) + 1, version: versions.isEmpty ? 0 : versions[$0], user: $1)
        }))
  }

  /// Two gateways, and the worker is killed: whoever watches learns of changes, and of no change that is none.
  @Test func watchersConvergeAfterAKill() async throws {
    let folder = TestFolder()
    let first = try await start(in: folder, "{}")
    let home = try await GatewayPlayer.link(in: folder, incarnation: 8)
    home.snapshot([.of("ann", 1), .of("eve", 2)])
    let edge = try await GatewayPlayer.link(in: folder)
    edge.snapshot([])
    #expect(try await online(edge, "ann", "eve") == [true, true])
    watch(edge, "ann", "eve", "bob")
    var known: [UInt32: PresenceChanged] = [:]
    for _ in 0..<3 {
      let change = try await edge.next(PresenceChanged.self).message
      for handle in change.handles { known[handle] = change }
    }
    #expect([1, 2, 3].map { known[$0]?.state.status } == [.online, .online, .offline])
    try await waitUntil("all is written") { try await first.metric("avalo_presence_unwritten_rows") == 0 }
    // Bob comes, and the file may not hear of it any more.
    home.send(Sessions(entries: [.of("bob", 3)]))
    home.send(SetPresence(user: "ann", session: 1, status: .set(.busy), customStatus: .set("hi")), correlation: 5)
    _ = try await home.next(PresenceSet.self)
    first.process.signal(SIGKILL)
    _ = try await first.process.ending()
    for _ in 0..<2 {
      let change = try await edge.next(PresenceChanged.self).message
      for handle in change.handles { known[handle] = change }
    }
    #expect([1, 2, 3].map { known[$0]?.state.status } == [.busy, .online, .online])

    let second = try await start(in: folder, "{}")
    try await edge.linked()
    edge.snapshot([])
    watch(edge, "ann", "eve", "bob", versions: (1...3).compactMap { known[$0]?.version })
    var told: [UInt32: [PresenceChanged]] = [:]
    for _ in 0..<2 {
      let change = try await edge.next(PresenceChanged.self).message
      for handle in change.handles { told[handle, default: []].append(change) }
    }
    #expect(told[1]?.map(\.state.status) == [.busy] && told[1]?.first?.state.customStatus == "hi")
    #expect(told[2]?.map(\.state.status) == [.online])
    #expect(told[3] == nil, "bob is not in the file, and his gateway has not spoken")
    #expect(told.values.allSatisfy { $0[0].version > known.values.map(\.version).max()! }, "versions do not come twice")
    try await home.linked()
    home.snapshot([.of("ann", 1), .of("eve", 2), .of("bob", 3)])
    let bob = try await edge.next(PresenceChanged.self).message
    #expect(bob.handles == [3] && bob.state.status == .online)
    try await second.process.stop()
  }

  @Test func answersServersWithWhatGatewaysSay() async throws {
    let worker = try await start("{}")
    let (one, two) = (
      try await GatewayPlayer.link(in: worker.folder, incarnation: 7),
      try await GatewayPlayer.link(in: worker.folder, incarnation: 8)
    )
    one.snapshot([.of("ann", 1), .of("ann", 2)])
    two.snapshot([.of("ann", 9)])
    #expect(try await online(two, "ann") == [true])
    one.send(ConnectionsQuery(user: "ann", after: 0, limit: 10), correlation: 4)
    let asked = (try await one.next(DescribeSessions.self), try await two.next(DescribeSessions.self))
    #expect(asked.0.message.sessions == [1, 2] && asked.1.message.sessions == [9])
    // A gateway's loops answer one by one, in any order.
    func describe(_ gateway: GatewayPlayer, _ session: UInt64, _ topic: String, _ correlation: UInt32) {
      let subscriptions = SessionSubscriptions(count: 1, topics: [Topic(topic)!])
      gateway.send(
        SessionsDescribed(entries: [.init(session: session, subscriptions: subscriptions)]), correlation: correlation)
    }
    describe(two, 9, "user:ann", asked.1.correlation)
    describe(one, 2, "chat:c", asked.0.correlation)
    describe(one, 1, "chat:d", asked.0.correlation)
    let list = try await one.next(ConnectionList.self)
    #expect(list.correlation == 4)
    #expect(
      list.message.entries.map { "\($0.connectionID) \($0.subscriptions.topics)" }.sorted()
        == ["c1 [chat:d]", "c2 [chat:c]", "c9 [user:ann]"])
    // One that does not answer is not waited for for ever.
    one.send(ConnectionsQuery(user: "ann", after: 0, limit: 10), correlation: 5)
    describe(one, 1, "chat:d", try await one.next(DescribeSessions.self).correlation)
    #expect(try await one.next(ConnectionList.self).message.entries.count == 3)

    func isAnothers(_ id: String, than user: String) async throws -> Bool {
      try await two.ask(ConnectionOwnerQuery(user: user, connectionID: id), ConnectionOwner.self).isAnother
    }
    let answers = (try await isAnothers("c1", than: "bob"), try await isAnothers("c1", than: "ann"))
    #expect(answers == (true, false))
    one.send(Disconnect(user: "ann", connectionID: "", mayReturn: true), correlation: 6)
    #expect(try await one.next(Disconnected.self).message.count == 3)
    let ended = (try await one.next(EndSessions.self).message, try await two.next(EndSessions.self).message)
    #expect(ended.0.sessions.sorted() == [1, 2] && ended.1.sessions == [9] && ended.1.mayReturn)
    try await worker.process.stop()
  }

  @Test func tellsEveryGatewayWhoIsTyping() async throws {
    let worker = try await start("{}")
    let (one, two) = (
      try await GatewayPlayer.link(in: worker.folder, incarnation: 7),
      try await GatewayPlayer.link(in: worker.folder, incarnation: 8)
    )
    one.snapshot([.of("ann", 1)])
    one.send(SetTyping(user: "ann", chat: "c", session: 1, device: "d1", isTyping: true))
    let told = (try await one.next(TypingChanged.self).message, try await two.next(TypingChanged.self).message)
    #expect(told.0 == told.1 && told.0.isTyping && told.0.expiresMilliseconds == 5000 && told.0.device == "d1")
    func typingIn(viewer: String, chats: [String]) async throws -> [String] {
      try await two.ask(PresenceQuery(users: ["ann"], viewer: viewer, chats: chats), PresenceAnswer.self).entries[0]
        .typingIn
    }
    #expect(try await typingIn(viewer: "bob", chats: ["c"]) == ["c"])
    #expect(try await typingIn(viewer: "zoe", chats: []) == [])
    two.send(TypingEnded(user: "ann", chat: "c", sequence: told.0.sequence, isForOthers: true))
    let ended = (try await one.next(TypingChanged.self).message, try await two.next(TypingChanged.self).message)
    #expect(ended.0 == ended.1 && !ended.0.isTyping)
    #expect(try await typingIn(viewer: "", chats: []) == [])
    try await worker.process.stop()
  }

  /// A full disk: nothing is lost, nobody hears of it but the operator, once, and it ends by itself.
  @Test(.enabled(if: geteuid() == 0, "mounts a small file system"))
  func waitsForADiskThatIsFull() async throws {
    let folder = TestFolder()
    let disk = "\(folder.path)/disk"
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    try #require(mount("tmpfs", disk, "tmpfs", 0, "size=1m") == 0)
    defer { umount2(disk, Int32(MNT_DETACH)) }
    let worker = try await start(in: folder, #"{"file":"\#(disk)/presence.sqlite"}"#)
    let gateway = try await GatewayPlayer.link(in: folder)
    gateway.snapshot([.of("ann", 1)])
    try await waitUntil("ann is written") { try await worker.metric("avalo_presence_unwritten_rows") == 0 }

    let filler = "\(disk)/filler"
    var chunk = 1 << 20
    FileManager.default.createFile(atPath: filler, contents: nil)
    let file = try #require(FileHandle(forWritingAtPath: filler))
    while chunk > 0 {
      do { try file.write(contentsOf: Data(count: chunk)) } catch { chunk /= 2 }
    }
    gateway.send(Sessions(entries: (2...3000).map { .of("user-\($0)", $0) }))
    gateway.send(SessionsClosed(entries: [.init(session: 1, clean: true)]))
    try await waitUntil("writes fail again and again") {
      try await worker.metric("avalo_presence_failed_writes_total") ?? 0 >= 3
    }
    #expect(try await online(gateway, "ann", "user-3000") == [true, true])
    #expect(worker.process.output.components(separatedBy: "cannot be written").count == 2, "one line an outage")
    gateway.send(SetPresence(user: "user-2", session: 2, status: .set(.busy), customStatus: .set("hi")), correlation: 9)
    #expect(try await gateway.next(PresenceSet.self).message.state.status == .busy, "nobody waits for the disk")

    try file.truncate(atOffset: 0)
    try await waitUntil("all is written") { try await worker.metric("avalo_presence_unwritten_rows") == 0 }
    try await worker.process.waitForOutput("can be written again")
    worker.process.signal(SIGKILL)
    _ = try await worker.process.ending()
    let store = try PresenceStore(path: "\(disk)/presence.sqlite")
    let registry = try store.load()
    #expect(Set(registry.connections.map(\.key.session)) == Set(1...3000))
    #expect(registry.connections.first { $0.user == "user-2" }?.explicit == .busy)
    store.finish()
  }

  @Test func doesNotStartOnADamagedFileAndSaysWhatToDo() async throws {
    let folder = TestFolder()
    try folder.write(String(repeating: "no database at all. ", count: 500), to: "presence.sqlite")
    let worker = try await WorkerProcess.start(
      "avalo-presence", sockets: ["link", "metrics"], in: folder, waitForReady: false)
    #expect(try await worker.process.ending() != .exit(0))
    #expect(worker.process.output.contains("\(folder.path)/presence.sqlite is damaged"))
    #expect(worker.process.output.contains("aside (avalo-presence --repair does) and start again"))
    #expect(try folder.read("presence.sqlite").hasPrefix("no database at all."))
  }

  /// What a connection costs, the file's cache and its share of everything included; ids as long as real ones.
  @Test func holdsAConnectionInFiveHundredBytes() async throws {
    let worker = try await start("{}")
    let gateway = try await GatewayPlayer.link(in: worker.folder)
    let before = try await named(1...1000, by: gateway, worker)
    let count: UInt64 = 19_000
    let after = try await named(1001...(1000 + count), by: gateway, worker)
    let each = (after - before) / Int(count)
    #expect(each <= 500, "\(each) bytes a connection")
    try await worker.process.stop()
  }

  /// Names sessions in batches as gateways do; the process' own memory, in bytes, when all of it is written.
  private func named(_ sessions: ClosedRange<UInt64>, by gateway: GatewayPlayer, _ worker: WorkerProcess) async throws
    -> Int
  {
    for start in stride(from: sessions.lowerBound, through: sessions.upperBound, by: 500) {
      gateway.send(
        Sessions(
          entries: (start...min(start + 499, sessions.upperBound)).map {
            Sessions.Entry(
              session: $0, user: "user_\(10_000_000 + $0)", device: "device_\(20_000_000 + $0)", platform: .web,
              connectionID: "conn_01hqz3v8m4tka7wn2\(1_000_000_000 + $0)", connectedMilliseconds: 1_700_000_000_000)
          }))
      #expect(try await online(gateway, "user_\(10_000_000 + start)") == [true])
    }
    try await waitUntil("all is written") { try await worker.metric("avalo_presence_unwritten_rows") == 0 }
    let rollup = try String(contentsOfFile: "/proc/\(worker.process.pid)/smaps_rollup", encoding: .utf8)
    let line = try #require(rollup.split(separator: "\n").first { $0.hasPrefix("Private_Dirty:") })
    return try #require(Int(line.split(separator: " ")[1])) << 10
  }
}
