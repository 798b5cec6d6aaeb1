import AvaloCore
import AvaloWire
import Testing

/// Random and mutated bytes into every decoder: a value or a ``WireError``, never a trap, never more memory than the
/// frame itself could fill. The generator is seeded: a failure repeats.
@Suite struct WireFuzzTests {
  /// Reads a body as everything there is.
  private static let decoders: [(kind: FrameKind, decode: @Sendable (UnsafeRawBufferPointer) throws -> Void)] = [
    message(Hello.self), message(Welcome.self), message(Failed.self), message(Probe.self), message(Probed.self),
    message(Publish.self), message(Published.self), message(Broadcast.self), message(Broadcasted.self),
    message(Attach.self), message(Attached.self), message(Cursors.self), message(Detach.self), message(Watch.self),
    message(Watched.self), message(Unwatch.self), message(Unwatched.self), message(Lagged.self), message(Read.self),
    message(Acknowledge.self), message(Sessions.self), message(SessionsEnd.self), message(SessionsClosed.self),
    message(SessionsSeen.self), message(PresenceQuery.self), message(PresenceAnswer.self), message(SetPresence.self),
    message(PresenceSet.self), message(WatchPresence.self), message(UnwatchPresence.self),
    message(PresenceUnwatched.self), message(PresenceChanged.self), message(SetTyping.self),
    message(TypingChanged.self), message(TypingEnded.self), message(OnlineUsersQuery.self), message(OnlineUsers.self),
    message(ConnectionsQuery.self), message(ConnectionList.self), message(DescribeSessions.self),
    message(SessionsDescribed.self), message(Disconnect.self), message(Disconnected.self), message(EndSessions.self),
    message(AccessChanged.self), message(AccessLive.self), message(AccessConfirmed.self), message(ChangeMembers.self),
    message(MembersChanged.self), message(ListMembers.self), message(MemberList.self), message(MembershipQuery.self),
    message(MembershipAnswer.self), message(Revoke.self), message(Revoked.self), message(Erase.self),
    message(Erased.self),
    message(BeginBroadcast.self), message(BroadcastBegun.self), message(BroadcastPart.self),
    message(BroadcastPartTaken.self), message(BroadcastQuery.self), message(BroadcastStatus.self),
    message(CancelDelayed.self), message(DelayedCancelled.self), message(ReadTopic.self), message(TopicPage.self),
    message(ErasePresence.self), message(PartnershipsEnded.self), message(StartsQuery.self), message(Starts.self),
    message(PolledQuery.self), message(StopPolling.self), message(Polled.self),
    message(PresenceErased.self), message(ConnectionOwnerQuery.self), message(ConnectionOwner.self),
    message(LatestSeen.self), message(LatestAt.self),
    message(Lease.self), message(LeaseLost.self), message(MembershipsQuery.self), message(Memberships.self),
    message(Follow.self), message(Following.self), message(ReadFollowed.self), message(FollowedPage.self),
    message(AcknowledgeFollowed.self), message(FollowedGrew.self), message(FollowedErased.self),
    message(MarkRead.self), message(MarkedRead.self), message(QueryReads.self), message(ReadState.self),
    (
      Latest.kind,
      { bytes in
        let latest = try Latest(body: bytes)
        touch(latest.record)
        for index in 0..<latest.targetCount { _ = latest.target(index) }
      }
    ),
    (
      Deliver.kind,
      { bytes in
        let deliver = try Deliver(body: bytes)
        touch(deliver.record)
        for index in 0..<deliver.targetCount { _ = deliver.target(index) }
      }
    ),
    (
      ReadResult.kind,
      { bytes in
        let page = try ReadResult(body: bytes)
        var rows = 0
        page.forEachRow { _, record in
          touch(record)
          rows += 1
        }
        #expect(rows == page.rowCount)
      }
    ),
    (FrameKind(rawValue: 0xFFFF), { bytes in if let record = EventRecord(bytes) { touch(record) } }),
  ]

  private static func message<Message: WireMessage & Equatable>(_: Message.Type)
    -> (FrameKind, @Sendable (UnsafeRawBufferPointer) throws -> Void)
  {
    (
      Message.kind,
      { bytes in
        let message = try Message(body: bytes)
        // What is accepted is written back and read the same.
        var writer = WireWriter()
        writer.frame(message)
        let again = try writer.bytes.withUnsafeBytes {
          try Message(body: UnsafeRawBufferPointer(rebasing: $0[Frame.headBytes...]))
        }
        #expect(again == message)
      }
    )
  }

  private static func touch(_ record: EventRecord) {
    _ = (record.type, record.priority, record.ttlSeconds, record.expiresMilliseconds)
    let strings = [record.eventID, record.sourceUserID, record.chatID, record.messageID, record.payload]
    #expect(strings.reduce(EventRecord.headBytes) { $0 + $1.count } == record.bytes.count)
  }

  /// A body of each kind to start from.
  private static let seeds: [(kind: FrameKind, body: [UInt8])] = {
    let topic = Topic("user:abc")!
    let position = Position(epoch: Sample.epoch, offset: 17)
    var writer = WireWriter()
    writer.frame(Hello(role: "gateway", instance: "gateway.0", incarnation: 1))
    writer.frame(Welcome(generation: 1, credit: 2))
    writer.frame(Follow(name: "w", types: .durable))
    writer.frame(ReadFollowed(types: .durable, after: 1, bytesMax: 2))
    writer.frame(
      FollowedPage(
        through: 9, gone: 1, rows: [.init(sequence: 9, topic: topic, offset: 1, record: Sample.record)]))
    writer.frame(Failed(.unavailable, "later"))
    writer.frame(Publish(owner: "shop", topic: topic, contentHash: 1, record: Sample.record))
    writer.frame(Published(position: position, durability: .os, duplicate: false))
    writer.frame(Broadcast(owner: "shop", contentHash: 1, record: Sample.record, recipients: ["a", "b"]))
    writer.frame(Broadcasted(recipients: 2, durability: .os, duplicate: false))
    writer.frame(
      Publish(
        owner: "user:a", topic: topic, contentHash: 1, record: Sample.record,
        user: .init(TokenName(user: "a", tokenID: "t"), mustBeMember: true)))
    writer.frame(
      Attach(
        session: 1, token: TokenName(user: "a", tokenID: "t"), device: "d", platform: .web,
        topics: [.init(topic, isGranted: true)], ticket: "t"))
    writer.frame(Attached(answers: [.granted(position, since: 1), .denied(.permissionDenied)]))
    writer.frame(Cursors(session: 1, user: "a", topics: [.init(topic, isGranted: false)]))
    writer.frame(Detach(sessions: [1, 2]))
    writer.frame(Leave(session: 1, topics: [Topic("chat:c")!]))
    writer.frame(Watch(entries: [.init(handle: 1, topic: topic, position: position)]))
    writer.frame(Watched(heads: [Head(handle: 1, position: position, floor: 0)]))
    writer.frame(Unwatch(handles: [1]))
    writer.frame(Unwatched(handles: [1]))
    writer.frame(Lagged(heads: [Head(handle: 1, position: position, floor: 0)]))
    writer.frame(Read(topic: topic, epoch: Sample.epoch, after: 1, upTo: 2, bytesMax: 3))
    writer.frame(Acknowledge(entries: [.init(session: 1, handle: 1, position: position)]))
    writer.frame(
      Sessions(entries: [
        .init(session: 1, user: "a", device: "d", platform: .ios, connectionID: "c", connectedMilliseconds: 1)
      ]))
    writer.frame(SessionsClosed(entries: [.init(session: 1, clean: true)]))
    writer.frame(SessionsSeen(entries: [.init(session: 1, active: true)]))
    let state = PresenceState(
      status: .busy, platform: .ios, customStatus: "c", activity: "a",
      location: CoarseLocation(place: "p", spot: CoarseLocation.Spot(latitudeTenths: 1, longitudeTenths: 2)))
    let subscriptions = SessionSubscriptions(count: 1, topics: [topic])
    writer.frame(PresenceQuery(users: ["a"], viewer: "v", chats: ["c"]))
    writer.frame(PresenceAnswer(entries: [.init(state: state, typingIn: ["c"]), .init(state: PresenceState())]))
    writer.frame(
      SetPresence(
        user: "a", session: 1, connectionID: "c", status: .set(.away), platform: .web, customStatus: .set("s"),
        activity: .clear, location: .set(CoarseLocation(place: "p")), activityVisibility: .nobody, chats: ["c"]))
    writer.frame(PresenceSet(state: state))
    writer.frame(WatchPresence(entries: [.init(handle: 1, version: 2, user: "a")]))
    writer.frame(UnwatchPresence(handles: [1]))
    writer.frame(PresenceUnwatched(handles: [1]))
    writer.frame(PresenceChanged(version: 1, handles: [1, 2], state: state, chats: ["c"]))
    writer.frame(SetTyping(user: "a", chat: "c", session: 1, device: "d", isTyping: true))
    writer.frame(
      TypingChanged(user: "a", chat: "c", device: "d", isTyping: true, sequence: 1, expiresMilliseconds: 5))
    writer.frame(TypingEnded(user: "a", chat: "c", sequence: 1, isForOthers: true))
    writer.frame(OnlineUsersQuery(after: 0, limit: 1, status: .online))
    writer.frame(OnlineUsers(entries: [.init(user: "a", state: state)], next: 0, total: 1))
    writer.frame(ConnectionsQuery(user: "a", after: 0, limit: 1))
    writer.frame(
      ConnectionList(
        entries: [
          .init(
            connectionID: "c", user: "a", device: "d", platform: .web, connectedMilliseconds: 1, seenMilliseconds: 2,
            subscriptions: subscriptions)
        ], next: 1))
    writer.frame(DescribeSessions(sessions: [1]))
    writer.frame(SessionsDescribed(entries: [.init(session: 1, subscriptions: subscriptions)]))
    writer.frame(Disconnect(user: "a", connectionID: "c", mayReturn: true))
    writer.frame(Disconnected(count: 1))
    writer.frame(ConnectionOwnerQuery(user: "a", connectionID: "c"))
    writer.frame(ConnectionOwner(isAnother: true))
    writer.frame(EndSessions(sessions: [1], mayReturn: false))
    writer.frame(BeginBroadcast(owner: "s", attempt: 1, contentHash: 2, record: Sample.record, recipients: 1500))
    writer.frame(BroadcastBegun(broadcast: 1, durability: .os, duplicate: false))
    writer.frame(BroadcastPart(broadcast: 1, attempt: 1, first: 0, recipients: ["a", "b"]))
    writer.frame(BroadcastPartTaken(received: 2))
    writer.frame(BroadcastQuery(owner: "s", broadcast: 1))
    writer.frame(
      BroadcastStatus(
        eventID: "e", recipients: 2, done: 1, failed: 0, startedMilliseconds: 1, finishedMilliseconds: 0))
    writer.frame(CancelDelayed(owner: "s", eventID: "e", topic: "user:abc"))
    writer.frame(DelayedCancelled(topic: topic, duplicate: false))
    writer.frame(MembershipsQuery(user: "a", limit: 1))
    writer.frame(Memberships(chats: ["c", "d"]))
    writer.frame(
      Lease(session: 1, place: 2, user: "a", connection: "c", use: .poll, beganMicroseconds: 3))
    writer.frame(LeaseLost(session: 1, place: 2))
    writer.frame(LatestSeen(version: 1))
    writer.frame(LatestAt(version: 1))
    writer.frame(ErasePresence(user: "a"))
    writer.frame(
      StartsQuery(token: TokenName(user: "a"), device: "", connection: "c", topics: [.init(topic, at: position)]))
    writer.frame(PolledQuery(user: "a", connection: "c"))
    writer.frame(StopPolling(token: TokenName(user: "a"), connection: "c", topics: [topic]))
    writer.frame(Polled(topics: [topic]))
    writer.frame(Starts(positions: [position]))
    writer.frame(PartnershipsEnded(chat: "c", users: ["a", "b"]))
    writer.frame(ReadTopic(topic: topic, after: position, sinceMilliseconds: 1, limit: 2))
    writer.frame(
      TopicPage(
        head: position, floor: 0, after: 1, through: 9, rows: [.init(offset: 2, record: Sample.record)]))
    writer.frame(MarkRead(user: "a", chat: "c", isParticipant: true, messageID: "m"))
    writer.frame(MarkedRead(count: 1, readMilliseconds: 2))
    writer.frame(QueryReads(user: "a", chats: ["c", "d"]))
    writer.frame(
      ReadState(
        unread: [.init(chat: "c", count: 3)],
        receipts: [.init(chat: "c", user: "b", messageID: "m", readMilliseconds: 1, version: 2)]))
    Latest.write(version: 7, record: Sample.record, targets: [1, 2], into: &writer)
    writer.frame(
      AccessChanged(
        position: 1,
        changes: [
          .revoked(Revocation(.user("a"), issuedBeforeMilliseconds: 1, untilMilliseconds: 2)), .released(.token("t")),
          .removed(topic, users: ["a", "b"]),
        ]))
    writer.frame(AccessLive(position: 1))
    writer.frame(AccessConfirmed(position: 1))
    writer.frame(ChangeMembers(chat: "c", change: .add, users: ["a", "b"]))
    writer.frame(MembersChanged(added: 1, removed: 2, members: 3))
    writer.frame(ListMembers(chat: "c", after: "a", limit: 1))
    writer.frame(MemberList(total: 1, members: [.init(user: "a", since: 1)], hasMore: false))
    writer.frame(MembershipQuery(entries: [.init(chat: "c", user: "a")]))
    writer.frame(MembershipAnswer(since: [0, 1]))
    writer.frame(Revoke(.token("t", untilMilliseconds: 1)))
    writer.frame(Erase(user: "a", issuedBeforeMilliseconds: 1, untilMilliseconds: 2))
    writer.frame(Erased(events: 1, devices: 1, memberships: 1))
    Deliver.write(record: Sample.record, targets: [.init(handle: 1, offset: 2)], into: &writer)
    ReadResult.write(
      epoch: Sample.epoch, floor: 0, through: 9, rows: [(1, Sample.record), (4, Sample.record)], correlation: 0,
      into: &writer)
    var seeds: [(FrameKind, [UInt8])] = [(FrameKind(rawValue: 0xFFFF), Sample.record)]
    var rest = writer.bytes[...]
    while !rest.isEmpty {
      let head = rest.withUnsafeBytes { try? Frame.head(of: $0) }!
      seeds.append((head.kind, Array(rest.dropFirst(Frame.headBytes).prefix(head.bodyBytes))))
      rest = rest.dropFirst(Frame.headBytes + head.bodyBytes)
    }
    return seeds
  }()

  @Test func everyDecoderSurvivesMutatedBodies() {
    var random = SeededRandom(seed: 0x5EED_0002)
    var accepted = 0
    for _ in 0..<30_000 {
      let seed = Self.seeds.randomElement(using: &random)!
      let body = Self.mutated(seed.body, &random)
      // Mostly as what it was, sometimes as something else.
      let kind = Int.random(in: 0..<8, using: &random) == 0 ? nil : seed.kind
      for decoder in Self.decoders where kind == nil || decoder.kind == kind {
        if (try? body.withUnsafeBytes { try decoder.decode($0) }) != nil { accepted += 1 }
      }
    }
    // The mutations are neither all harmless nor all fatal, or this test would test nothing.
    #expect(accepted > 1000)
  }

  @Test func everyDecoderSurvivesNoise() {
    var random = SeededRandom(seed: 0x5EED_0003)
    for _ in 0..<3000 {
      let body = (0..<Int.random(in: 0...120, using: &random)).map { _ in
        Bool.random(using: &random)
          ? UInt8.random(in: 0...255, using: &random) : UInt8.random(in: 0...4, using: &random)
      }
      for decoder in Self.decoders { _ = try? body.withUnsafeBytes { try decoder.decode($0) } }
    }
  }

  @Test func theHeadSurvivesNoise() {
    var random = SeededRandom(seed: 0x5EED_0004)
    for _ in 0..<100_000 {
      let bytes = (0..<Int.random(in: 0...16, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      guard let head = bytes.withUnsafeBytes({ try? Frame.head(of: $0) }) else { continue }
      #expect(bytes.count >= Frame.headBytes && head.bodyBytes <= WireLimits.frameBodyBytesMax)
    }
  }

  /// A count without the elements behind it must not make room for them.
  @Test func aLyingCountIsRefused() {
    let body = [UInt8](repeating: 0xFF, count: 4)
    #expect(throws: WireError.self) { try body.withUnsafeBytes { try Detach(body: $0) } }
    let many = Array<UInt8>([0x00, 0x00, 0x01, 0x00]) + [UInt8](repeating: 0, count: 0x10000 * 8)
    #expect(throws: WireError.self) { try many.withUnsafeBytes { try Detach(body: $0) } }
    // A page whose count says more rows than its bytes can hold, offsets past the end, rows out of order.
    var writer = WireWriter()
    ReadResult.write(
      epoch: Sample.epoch, floor: 0, through: 1, rows: [(2, Sample.record)], correlation: 0, into: &writer)
    ReadResult.write(
      epoch: Sample.epoch, floor: 0, through: 9, rows: [(5, Sample.record), (5, Sample.record)], correlation: 0,
      into: &writer)
    var rest = writer.bytes[...]
    for _ in 0..<2 {
      let head = rest.withUnsafeBytes { try? Frame.head(of: $0) }!
      let body = Array(rest.dropFirst(Frame.headBytes).prefix(head.bodyBytes))
      #expect(throws: WireError.self) { try body.withUnsafeBytes { _ = try ReadResult(body: $0) } }
      rest = rest.dropFirst(Frame.headBytes + head.bodyBytes)
    }
  }

  private static func mutated(_ body: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var bytes = body
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let index = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0 where !bytes.isEmpty: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1 where !bytes.isEmpty: bytes[index] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random)!
      case 2: bytes.removeLast(bytes.count - index)
      case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
      case 4 where bytes.count >= 4:
        let start = min(index, bytes.count - 4)
        let value = [0, 1, 0xFFFF_FFFF, 0x7FFF_FFFF, 4096, 4097].randomElement(using: &random)!
        for byte in 0..<4 { bytes[start + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
      default: bytes.append(contentsOf: bytes.suffix(index))
      }
    }
    return bytes
  }
}

/// SplitMix64: the same run every time.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
