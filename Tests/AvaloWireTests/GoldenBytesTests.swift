import AvaloCore
import AvaloWire
import Testing

/// The bytes of every message, written by hand from the documented shapes: a change here breaks running neighbours and
/// needs a new ``Hello/currentVersion``.
@Suite struct GoldenBytesTests {
  private let inbox = Topic("user:abc")!
  private let chat = Topic("chat:c1")!
  private let position = Position(epoch: Sample.epoch, offset: 17)
  private let token = TokenName(user: "abc", tokenID: "t-1", issuedAtMilliseconds: 1_698_620_000_000)

  /// The message's frame is exactly these bytes, and they are read as the same message.
  func expect<Message: WireMessage & Equatable>(
    _ message: Message, _ hexadecimal: String, _ location: SourceLocation = #_sourceLocation
  ) throws {
    var writer = WireWriter()
    writer.frame(message, correlation: 0x0A0B_0C0D)
    #expect(Sample.hexadecimal(writer.bytes) == hexadecimal, sourceLocation: location)
    try writer.bytes.withUnsafeBytes { bytes in
      let head = try #require(try Frame.head(of: bytes), sourceLocation: location)
      #expect(
        head == Frame.Head(bodyBytes: bytes.count - Frame.headBytes, kind: Message.kind, correlation: 0x0A0B_0C0D),
        sourceLocation: location)
      let body = UnsafeRawBufferPointer(rebasing: bytes[Frame.headBytes...])
      #expect(try Message(body: body) == message, sourceLocation: location)
      // Every shorter body and every longer one is refused.
      for count in 0..<body.count {
        #expect(throws: WireError.self, sourceLocation: location) {
          try Message(body: UnsafeRawBufferPointer(rebasing: body[..<count]))
        }
      }
      let longer = Array(body) + [0]
      #expect(throws: WireError.self, sourceLocation: location) {
        try longer.withUnsafeBytes { try Message(body: $0) }
      }
    }
  }

  @Test func ofEveryLink() throws {
    try expect(
      Hello(role: "gateway", instance: "gateway.0", incarnation: 0x1122_3344_5566_7788),
      "1e000000010000000d0c0b0a04000700676174657761790900676174657761792e308877665544332211")
    try expect(
      Welcome(generation: 7, credit: 64),
      "0a000000020000000d0c0b0a04000700000040000000")
    try expect(
      Failed(.unavailable, "später", retryAfterMilliseconds: 250),
      "0e000000030000000d0c0b0a0e07007370c3a4746572fa000000")
    try expect(
      Probe(),
      "00000000040000000d0c0b0a")
    try expect(
      Probed(),
      "00000000050000000d0c0b0a")
  }

  @Test func ofPublishing() throws {
    try expect(
      Publish(
        owner: "shop", topic: inbox, contentHash: 0xDEAD_BEEF_CAFE_F00D, deliverAtMilliseconds: -1,
        record: Sample.record),
      "64000000010100000d0c0b0a040073686f700800757365723a6162630df0fecaefbeaddeffffffffffffffff3f000000"
        + "010201013c0000000047a47d8b010000403ab7c9e208060000000000000000000500030002000200070000006576745f"
        + "3178797a63316d317b2261223a317d00")
    try expect(
      Publish(
        owner: "user:abc", topic: chat, contentHash: 5, record: Sample.record,
        user: Publish.Publisher(token, mustBeMember: true)),
      "7a000000010100000d0c0b0a0800757365723a6162630700636861743a6331050000000000000000000000000000003f"
        + "000000010201013c0000000047a47d8b010000403ab7c9e2080600000000000000000005000300020002000700000065"
        + "76745f3178797a63316d317b2261223a317d0103006162630300742d310047a47d8b01000001")
    try expect(
      Published(position: position, durability: .os, duplicate: true),
      "12000000020100000d0c0b0aaac0d1420100000011000000000000000101")
    try expect(
      Broadcast(owner: "shop", contentHash: 5, record: Sample.record, recipients: ["a", "b@c"]),
      "5d000000030100000d0c0b0a040073686f7005000000000000003f000000010201013c0000000047a47d8b010000403a"
        + "b7c9e208060000000000000000000500030002000200070000006576745f3178797a63316d317b2261223a317d020000"
        + "000100610300624063")
    try expect(
      Broadcasted(recipients: 2, durability: .disk, duplicate: false),
      "06000000040100000d0c0b0a020000000200")
  }

  @Test func ofPolls() throws {
    try expect(
      StartsQuery(
        token: token, device: "dev", connection: "cnn", topics: [.init(inbox, at: position), .init(chat)]),
      "53000000260100000d0c0b0a03006162630300742d310047a47d8b01000003006465760300636e6e0200000008"
        + "00757365723a616263aac0d1420100000011000000000000000700636861743a633100000000000000000000000000000000")
    try expect(PolledQuery(user: "abc", connection: "cnn"), "0a000000280100000d0c0b0a03006162630300636e6e")
    try expect(
      StopPolling(token: token, connection: "cnn", topics: [chat]),
      "240000002a0100000d0c0b0a03006162630300742d310047a47d8b0100000300636e6e010000000700636861743a6331")
    try expect(Polled(topics: [chat]), "0d000000290100000d0c0b0a010000000700636861743a6331")
  }

  @Test func ofSessions() throws {
    try expect(
      Attach(
        session: 9, token: token, device: "dev", platform: .ios,
        topics: [.init(inbox, isGranted: true), .init(chat, isGranted: false)], ticket: "tkt",
        isPassing: true),
      "3f000000050100000d0c0b0a090000000000000003006162630300742d310047a47d8b01000003006465760202000000"
        + "0800757365723a616263010700636861743a6331000300746b7401")
    try expect(
      Attach(session: 9, token: TokenName(user: "abc"), device: "", platform: .unknown, topics: []),
      "21000000050100000d0c0b0a090000000000000003006162630000000000000000000000000000000000000000")
    try expect(
      Attached(answers: [.granted(position, since: 12), .granted(.none, since: 0), .denied(.permissionDenied)]),
      "37000000060100000d0c0b0a0300000000aac0d1420100000011000000000000000c0000000000000000000000000000"
        + "00000000000000000000000000000000000007")
    try expect(
      Cursors(session: 9, user: "abc", topics: [.init(chat, isGranted: false)]),
      "1b000000110100000d0c0b0a09000000000000000300616263010000000700636861743a633100")
    try expect(
      Leave(session: 9, topics: [chat]),
      "15000000440100000d0c0b0a0900000000000000010000000700636861743a6331")
    try expect(
      Detach(sessions: [9, 10]),
      "14000000070100000d0c0b0a0200000009000000000000000a00000000000000")
  }

  @Test func ofWatching() throws {
    try expect(
      Watch(entries: [.init(handle: 0x0100_0002, topic: inbox, position: position)]),
      "22000000080100000d0c0b0a01000000020000010800757365723a616263aac0d142010000001100000000000000")
    try expect(
      Watched(heads: [Head(handle: 0x0100_0002, position: position, floor: 3)]),
      "20000000090100000d0c0b0a0100000002000001aac0d1420100000011000000000000000300000000000000")
    try expect(
      Unwatch(handles: [1, 2]),
      "0c0000000a0100000d0c0b0a020000000100000002000000")
    try expect(
      Unwatched(handles: [1]),
      "080000000b0100000d0c0b0a0100000001000000")
    try expect(
      Lagged(heads: [Head(handle: 4, position: Position(epoch: Sample.epoch, offset: 18), floor: 0)]),
      "200000000d0100000d0c0b0a0100000004000000aac0d1420100000012000000000000000000000000000000")
    try expect(
      Read(topic: Topic("feed:f")!, epoch: Sample.epoch, after: 3, upTo: 18, bytesMax: 65536),
      "240000000e0100000d0c0b0a0600666565643a66aac0d142010000000300000000000000120000000000000000000100")
    try expect(
      Acknowledge(entries: [.init(session: 9, handle: 1, position: position)]),
      "20000000100100000d0c0b0a01000000090000000000000001000000aac0d142010000001100000000000000")
  }

  @Test func ofReadState() throws {
    try expect(
      MarkRead(user: "abc", chat: "c1", isParticipant: true, messageID: "m1"),
      "10000000200100000d0c0b0a0300616263020063310102006d310000")
    try expect(
      MarkRead(user: "abc", chat: "c1", isParticipant: true, messageID: "m1", request: "r9"),
      "12000000200100000d0c0b0a0300616263020063310102006d3102007239")
    try expect(
      MarkedRead(count: 15, readMilliseconds: 1_698_620_000_000),
      "0c000000210100000d0c0b0a0f0000000047a47d8b010000")
    try expect(
      QueryReads(user: "abc", chats: ["c1"]),
      "0d000000220100000d0c0b0a030061626301000000" + "02006331")
    try expect(
      ReadState(
        unread: [.init(chat: "c1", count: 2)],
        receipts: [.init(chat: "c1", user: "x", messageID: "m1", readMilliseconds: 1, version: 9)]),
      "2b000000230100000d0c0b0a01000000" + "0200633102000000" + "01000000" + "02006331" + "010078" + "02006d31"
        + "0100000000000000" + "0900000000000000")
    var writer = WireWriter()
    Latest.write(version: 9, record: Sample.record, targets: [1, 0x0100_0002], into: &writer)
    #expect(
      Sample.hexadecimal(writer.bytes)
        == "57000000240100000000000009000000000000003f000000" + Sample.hexadecimal(Sample.record) + "02000000"
        + "0100000002000001")
    try writer.bytes.withUnsafeBytes { bytes in
      let latest = try Latest(body: UnsafeRawBufferPointer(rebasing: bytes[Frame.headBytes...]))
      #expect(latest.version == 9 && latest.targetCount == 2 && latest.target(1) == 0x0100_0002)
    }
  }

  @Test func ofAccess() throws {
    let token = Revocation.token("t-1", untilMilliseconds: 1_700_000_000_000)
    try expect(
      AccessChanged(
        position: 7,
        changes: [
          .revoked(
            Revocation(
              .user("ann"), issuedBeforeMilliseconds: 1_698_620_000_000, untilMilliseconds: 1_700_000_000_000)),
          .revoked(token), .revoked(Revocation(.everybody, issuedBeforeMilliseconds: 5, untilMilliseconds: 6)),
          .released(.token("t-0")), .removed(chat, users: ["ann", "bob"]),
        ]),
      "6d000000120100000d0c0b0a07000000000000000500000001010300616e6e0047a47d8b0100000068e5cf8b01000001"
        + "020300742d31ffffffffffffff7f0068e5cf8b010000010300000500000000000000060000000000000002020300742d"
        + "30030700636861743a6331020000000300616e6e0300626f62")
    try expect(AccessLive(position: 7), "08000000130100000d0c0b0a0700000000000000")
    try expect(AccessConfirmed(position: 7), "08000000140100000d0c0b0a0700000000000000")
    try expect(Revoke(token), "160000001b0100000d0c0b0a020300742d31ffffffffffffff7f0068e5cf8b010000")
    try expect(Revoked(), "000000001c0100000d0c0b0a")
    try expect(
      Erase(user: "ann", issuedBeforeMilliseconds: 1_698_620_000_000, untilMilliseconds: 1_700_000_000_000),
      "150000001d0100000d0c0b0a0300616e6e0047a47d8b0100000068e5cf8b010000")
    try expect(Erased(events: 4, devices: 2, memberships: 1), "0c0000001e0100000d0c0b0a040000000200000001000000")
  }

  @Test func ofMembers() throws {
    try expect(
      ChangeMembers(chat: "c1", change: .set, users: ["ann", "bob"]),
      "13000000150100000d0c0b0a0200633103020000000300616e6e0300626f62")
    try expect(
      MembersChanged(added: 1, removed: 2, members: 3), "0c000000160100000d0c0b0a010000000200000003000000")
    try expect(
      ListMembers(chat: "c1", after: "ann", limit: 100), "0d000000170100000d0c0b0a020063310300616e6e64000000")
    try expect(
      MemberList(total: 3, members: [.init(user: "bob", since: 18)], hasMore: true),
      "16000000180100000d0c0b0a03000000010000000300626f62120000000000000001")
    try expect(
      MembershipQuery(entries: [.init(chat: "c1", user: "ann"), .init(chat: "c2", user: "ann")]),
      "16000000190100000d0c0b0a02000000020063310300616e6e020063320300616e6e")
    try expect(
      MembershipAnswer(since: [18, 0]), "140000001a0100000d0c0b0a0200000012000000000000000000000000000000")
  }

  @Test func ofADelivery() throws {
    var writer = WireWriter()
    Deliver.write(
      record: Sample.record, targets: [.init(handle: 1, offset: 17), .init(handle: 2, offset: 18)], into: &writer)
    #expect(
      Sample.hexadecimal(writer.bytes)
        == "5f0000000c010000000000003f000000010201013c0000000047a47d8b010000403ab7c9e20806000000000000000000"
        + "0500030002000200070000006576745f3178797a63316d317b2261223a317d0200000001000000110000000000000002"
        + "0000001200000000000000")
    try writer.bytes.withUnsafeBytes { bytes in
      let deliver = try Deliver(body: UnsafeRawBufferPointer(rebasing: bytes[Frame.headBytes...]))
      #expect(deliver.record.payload.elementsEqual(#"{"a":1}"#.utf8))
      #expect(deliver.targetCount == 2)
      #expect(deliver.target(0) == .init(handle: 1, offset: 17))
      #expect(deliver.target(1) == .init(handle: 2, offset: 18))
    }
  }

  @Test func ofAPage() throws {
    var writer = WireWriter()
    ReadResult.write(
      epoch: Sample.epoch, floor: 2, through: 18, rows: [(17, Sample.record)], correlation: 0x0A0B_0C0D, into: &writer)
    #expect(
      Sample.hexadecimal(writer.bytes)
        == "670000000f0100000d0c0b0aaac0d1420100000002000000000000001200000000000000010000001100000000000000"
        + "3f000000010201013c0000000047a47d8b010000403ab7c9e20806000000000000000000050003000200020007000000"
        + "6576745f3178797a63316d317b2261223a317d")
    try writer.bytes.withUnsafeBytes { bytes in
      let page = try ReadResult(body: UnsafeRawBufferPointer(rebasing: bytes[Frame.headBytes...]))
      #expect(page.epoch == Sample.epoch && page.floor == 2 && page.through == 18 && page.rowCount == 1)
      page.forEachRow { offset, record in
        #expect(offset == 17)
        #expect(record.bytes.elementsEqual(Sample.record))
      }
    }
  }

  @Test func ofFollowing() throws {
    try expect(
      Follow(name: "webhook", types: EventTypes([.chatMessage, .matchCreated])),
      "11000000800100000d0c0b0a0700776562686f6f6b8200000000000000")
    try expect(
      Following(generation: 7, acknowledged: 16, missed: 3),
      "14000000810100000d0c0b0a0700000010000000000000000300000000000000")
    try expect(
      ReadFollowed(types: EventTypes([.chatMessage]), after: 16, bytesMax: 4096),
      "14000000820100000d0c0b0a0200000000000000100000000000000000100000")
    try expect(
      FollowedPage(through: 17, gone: 2, rows: [.init(sequence: 16, topic: inbox, offset: 5, record: Sample.record)]),
      "6d000000830100000d0c0b0a1100000000000000020000000100000010000000000000000800757365723a616263050000"
        + "00000000003f000000010201013c0000000047a47d8b010000403ab7c9e208060000000000000000000500030002000200"
        + "070000006576745f3178797a63316d317b2261223a317d")
    try expect(AcknowledgeFollowed(sequence: 17), "08000000840100000d0c0b0a1100000000000000")
    try expect(
      FollowedErased(topic: Topic("user:ann")!, upTo: 18),
      "12000000860100000d0c0b0a0800757365723a616e6e1200000000000000")
    try expect(FollowedGrew(sequence: 18, missed: 3), "10000000850100000d0c0b0a12000000000000000300000000000000")
  }

  @Test func ofARecord() throws {
    #expect(
      Sample.hexadecimal(Sample.record)
        == "010201013c0000000047a47d8b010000403ab7c9e208060000000000000000000500030002000200070000006576745f"
        + "3178797a63316d317b2261223a317d")
    try Sample.record.withUnsafeBytes { bytes in
      let record = try #require(EventRecord(bytes))
      #expect(record.type == .chatMessage && record.priority == .high && record.hasOwnTTL && record.ttlSeconds == 60)
      #expect(record.timestampMilliseconds == 1_698_620_000_000 && record.acceptedMicroseconds == 1_698_620_000_123_456)
      #expect(record.eventID.elementsEqual("evt_1".utf8) && record.sourceUserID.elementsEqual("xyz".utf8))
      #expect(record.chatID.elementsEqual("c1".utf8) && record.messageID.elementsEqual("m1".utf8))
    }
  }
}

/// What the tests of the wire share.
enum Sample {
  static let epoch = Epoch(rawValue: 0x0000_0001_42D1_C0AA)
  static let record = EventFields(
    type: .chatMessage, priority: .high, ttlSeconds: 60, timestampMilliseconds: 1_698_620_000_000,
    acceptedMicroseconds: 1_698_620_000_123_456, eventID: "evt_1", sourceUserID: "xyz", chatID: "c1", messageID: "m1",
    payload: Array(#"{"a":1}"#.utf8)
  ).record()

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
  }
}
