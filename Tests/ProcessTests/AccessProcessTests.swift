import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Testing

/// Rights that end, in running processes: what a backend was told is done is done, whichever process was killed or stopped
/// meanwhile (design: promise 5; delivery.md, access).
@Suite(.serialized) struct AccessProcessTests {
  static let revokedCode = 4507
  /// It takes milliseconds, and a second at most; a machine that does something else besides may take its time.
  static let patience = Duration.seconds(10)

  // MARK: - Tokens

  @Test func aRevokedUserIsCutWithinASecond() async throws {
    let server = try await RunningServer.start()
    let backend = server.backend()
    let bob = try await server.connect("bob", device: "phone")
    for round in 0..<5 {
      // Tokens are as old as their second: those of this second are taken back with those before.
      let issued = server.nowSeconds - 60 + Int64(round)
      let token = server.token("ann", issuedAt: issued)
      let devices = try await connect(3, "ann", token, server)
      let start = ContinuousClock.now
      _ = try await backend.call(
        "revokeTokens", JSONText { $0.object { $0.members("ann", issuedBefore: issued * 1000 + 1) } })
      for device in devices { #expect(await device.closeReason.code == Self.revokedCode) }
      #expect(ContinuousClock.now - start < Self.patience)
      await expectRefused(token, server)
      try await expectCallRefused(token, server)
    }
    // Who signed in later is welcome, and nobody else was touched.
    let again = try await server.connect("ann", device: "phone")
    for connection in [again, bob] { #expect(try await connection.ping() > .zero) }
    try await server.stop()
  }

  /// The gateway that stands still cannot say that it knows. Its link is cut, the answer comes, and it learns of it before
  /// it goes on.
  @Test func aStoppedGatewayHoldsUpNobodyAndComesBackKnowing() async throws {
    let server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    let token = server.token("ann")
    // The kernel spreads them: with so many, both instances have some.
    let devices = try await connect(16, "ann", token, server)
    let listeners = devices.map { device in Task { await Heard(device) } }
    let stopped = try #require(try await server.process.pid(of: "gateway", slot: 1))
    _ = Foundation.kill(stopped, SIGSTOP)
    let start = ContinuousClock.now
    try await server.first(of: 12) { server in
      _ = try await server.backend().call(
        "revokeTokens", JSONText { $0.object { $0.members("ann", issuedBefore: Self.milliseconds + 1000) } })
    }
    let took = ContinuousClock.now - start
    #expect(took < Self.patience, "the answer waits a second for who does not confirm")
    // Kept, but for nobody who is still connected.
    try await server.first(of: 12) { server in
      _ = try await server.backend().call("publishRealtimeEvent", Load.event("later", to: "ann"))
    }
    _ = Foundation.kill(stopped, SIGCONT)
    for listener in listeners {
      let heard = await listener.value
      #expect(heard.code == Self.revokedCode && heard.events == 0)
    }
    await expectRefused(token, server)
    try await server.stop()
  }

  /// Asked, and the scheduler killed while it is done: what is answered with success holds, what is not can be asked again.
  @Test func aRevocationHoldsThoughTheSchedulerIsKilledInBetween() async throws {
    let server = try await RunningServer.start()
    for round in 0..<6 {
      let user = "user\(round)"
      let token = server.token(user)
      let device = try await server.connect(user, device: "phone", token: token)
      let scheduler = try #require(try await server.process.pid(of: "scheduler"))
      async let killed: Void = {
        try await Task.sleep(for: .microseconds(Int.random(in: 0...4000)))
        _ = Foundation.kill(scheduler, SIGKILL)
      }()
      let backend = server.backend()
      try await untilAnswered {
        _ = try await backend.call(
          "revokeTokens", JSONText { $0.object { $0.members(user, issuedBefore: Self.milliseconds + 1000) } })
      }
      let answered = ContinuousClock.now
      try await killed
      #expect(await device.closeReason.code == Self.revokedCode)
      #expect(ContinuousClock.now - answered < Self.patience)
      await expectRefused(token, server)
      try await server.process.wait(for: "the scheduler to be back") { status in
        status.instances(of: "scheduler").allSatisfy { $0.state == "ready" && $0.pid != scheduler }
      }
    }
    // All of them are known after one more start.
    let scheduler = try #require(try await server.process.pid(of: "scheduler"))
    _ = Foundation.kill(scheduler, SIGKILL)
    for round in 0..<6 { await expectRefused(server.token("user\(round)"), server) }
    try await server.stop()
  }

  // MARK: - Memberships

  @Test func aRemovedMemberHearsNothingMore() async throws {
    let server = try await RunningServer.start()
    let backend = server.backend()
    try await publish("before", backend)
    await expectDenied("ann", server)
    _ = try await backend.call("addChatMembers", Self.members("ann", "bob"))
    let ann = try await server.connect("ann", device: "phone", topics: ["user:ann", "chat:team"])
    let bob = try await server.connect("bob", device: "phone", topics: ["chat:team"])
    #expect(ann.ready.subscriptions == ["user:ann", "chat:team"])
    var heard = Reader(ann)
    var bobs = Reader(bob)
    #expect(await heard.next(2).allSatisfy { if case .live = $0 { true } else { false } })
    try await publish("one", backend)
    #expect(await heard.events(1) == ["one"])

    _ = try await backend.call("removeChatMembers", Self.members("ann"))
    try await publish("two", backend)
    guard case .unsubscribed("chat:team", let error)? = await heard.next(1).first else {
      Issue.record("not told that it ended")
      return
    }
    #expect(error.code == .permissionDenied)
    #expect(await bobs.events(2) == ["one", "two"])
    // The connection goes on for what is left; the chat is closed to it.
    #expect(try await ann.ping() > .zero)
    await #expect(throws: ClientError.self) { try await ann.call("subscribeToRealtimeEventsV1", Self.subscription) }

    // Back again: what was said meanwhile stays unsaid, and that is told.
    _ = try await backend.call("setChatMembers", Self.members("ann", "bob"))
    try await publish("three", backend)
    let position = Position(epoch: try #require(heard.epoch), offset: 2)
    let again = try await server.connect(
      "ann", device: "phone", topics: ["chat:team"], positions: ["chat:team": position])
    var story = Reader(again)
    guard case .gap(let gap)? = await story.next(1).first else {
      Issue.record("no word of what is hidden")
      return
    }
    #expect(gap.offsets == 3...3 && gap.reason == "membership")
    #expect(await story.events(1) == ["three"])
    try await server.stop()
  }

  /// Killed under a crowd of members: memberships are asked for anew, and stand.
  @Test func membershipsOutliveTheScheduler() async throws {
    let server = try await RunningServer.start()
    let backend = server.backend()
    _ = try await backend.call("setChatMembers", Self.members("ann", "bob"))
    let ann = try await server.connect("ann", device: "phone", topics: ["chat:team"])
    var heard = Reader(ann)
    #expect(await heard.next(1).count == 1)
    for round in 0..<3 {
      let scheduler = try #require(try await server.process.pid(of: "scheduler"))
      _ = Foundation.kill(scheduler, SIGKILL)
      try await untilAnswered { try await self.publish("after \(round)", backend) }
      #expect(await heard.events(1) == ["after \(round)"])
    }
    try await untilAnswered { _ = try await backend.call("removeChatMembers", Self.members("ann")) }
    try await publish("last", backend)
    // Whoever was behind for a moment is told that they are live again.
    var end = await heard.next(1).first
    while case .live? = end { end = await heard.next(1).first }
    guard case .unsubscribed? = end else {
      Issue.record("\(String(describing: end))")
      return
    }
    try await server.stop()
  }

  // MARK: - Erasing

  @Test func nothingIsLeftOfAnErasedUser() async throws {
    let server = try await RunningServer.start()
    let backend = server.backend()
    for number in 0..<20 { _ = try await backend.call("publishRealtimeEvent", Load.event("e\(number)", to: "ann")) }
    _ = try await backend.call("addChatMembers", Self.members("ann"))
    let old = server.token("ann", issuedAt: server.nowSeconds - 10)
    let device = try await server.connect("ann", device: "phone", token: old)
    let answer = try await backend.call("eraseUser", JSONText { $0.object { $0.member("userId", "ann") } })
    #expect(answer.description == #"{"success":true,"userId":"ann","events":20,"devices":1,"memberships":1}"#)
    #expect(await device.closeReason.code == Self.revokedCode)
    await expectRefused(old, server)
    let presence = try await backend.call("getPresenceV1", try JSONText(validating: #"{"userIds":["ann"]}"#))
    #expect(presence.description.hasPrefix(#"{"presence":{"ann":{"status":"offline","lastSeenAt":0,"#))
    // The same id, signed in anew, begins with nothing.
    let fresh = try await server.connect(
      "ann", device: "phone", token: server.token("ann", issuedAt: server.nowSeconds + 1),
      topics: ["user:ann", "chat:team"])
    #expect(fresh.ready.denied.map(\.topic) == ["chat:team"])
    var heard = Reader(fresh)
    guard case .live(_, let position)? = await heard.next(1).first else {
      Issue.record("something was left")
      return
    }
    #expect(position.offset == 20)
    let again = try await backend.call("eraseUser", JSONText { $0.object { $0.member("userId", "ann") } })
    #expect(again.description == #"{"success":true,"userId":"ann","events":0,"devices":1,"memberships":0}"#)
    try await server.stop()
  }

  // MARK: - Steps

  private static func members(_ users: String...) -> JSONText {
    JSONText { json in
      json.object {
        $0.member("chatId", "team")
        $0.key("userIds")
        $0.array { for user in users { $0.string(user) } }
      }
    }
  }

  private static let subscription = JSONText { json in
    json.object {
      $0.key("subscriptions")
      $0.array { $0.string("chat:team") }
    }
  }

  private static var milliseconds: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

  private func publish(_ id: String, _ backend: CallableClient) async throws {
    _ = try await backend.call(
      "publishRealtimeEvent",
      JSONText { json in
        json.object {
          $0.member("eventId", id)
          $0.member("type", "chat_message")
          $0.member("topic", "chat:team")
          $0.key("payload")
          $0.object { $0.member("text", id) }
        }
      })
  }

  private func connect(
    _ count: Int, _ user: String, _ token: String, _ server: RunningServer
  ) async throws -> [RealtimeConnection] {
    var devices: [RealtimeConnection] = []
    for number in 0..<count {
      devices.append(try await server.connect(user, device: "device\(number)", token: token))
    }
    return devices
  }

  private func expectRefused(_ token: String, _ server: RunningServer) async {
    do {
      let connection = try await server.connect("ann", device: "thief", token: token)
      connection.abort()
      Issue.record("a revoked token was let in")
    } catch ClientError.refused(let error) where error.code == .unauthenticated {
    } catch ClientError.closed(let reason) where reason.code == Self.revokedCode {
    } catch {
      Issue.record("refused, but not for that: \(error)")
    }
  }

  private func expectCallRefused(_ token: String, _ server: RunningServer) async throws {
    let error = await #expect(throws: ClientError.self) {
      try await CallableClient(server.endpoint, credential: token).call("subscribeToRealtimeEventsV1", .emptyObject)
    }
    guard case .refused(let refusal)? = error, refusal.code == .unauthenticated else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  private func expectDenied(_ user: String, _ server: RunningServer) async {
    do {
      let connection = try await server.connect(user, device: "phone", topics: ["chat:team"])
      connection.abort()
      Issue.record("no member was let in")
    } catch ClientError.refused(let error) where error.code == .permissionDenied {
    } catch ClientError.closed(let reason) where reason.code == 4501 {
    } catch {
      Issue.record("refused, but not for that: \(error)")
    }
  }
}

/// What one connection heard until it ended.
private struct Heard: Sendable {
  var events = 0
  var code = 0

  init(_ connection: RealtimeConnection) async {
    for await frame in connection.frames { if case .event = frame { events += 1 } }
    code = await connection.closeReason.code
  }
}

/// Reads a connection frame by frame.
private struct Reader {
  private var frames: Frames.AsyncIterator
  /// Of the last frame that said it.
  private(set) var epoch: Epoch?

  init(_ connection: RealtimeConnection) { frames = connection.frames.makeAsyncIterator() }

  mutating func next(_ count: Int) async -> [ServerFrame] {
    var all: [ServerFrame] = []
    while all.count < count, let frame = await frames.next() {
      switch frame {
      case .event(let delivery): epoch = delivery.epoch ?? epoch
      case .live("chat:team", let position): epoch = position.epoch
      default: break
      }
      all.append(frame)
    }
    return all
  }

  /// The ids of the next events, whatever comes between.
  mutating func events(_ count: Int) async -> [String] {
    var ids: [String] = []
    while ids.count < count, let frame = await next(1).first {
      if case .event(let delivery) = frame { ids.append(delivery.event.eventID) }
    }
    return ids
  }
}

extension JSONWriter {
  fileprivate mutating func members(_ user: String, issuedBefore: Int64) {
    member("userId", user)
    member("issuedBefore", issuedBefore)
  }
}
