import AvaloCore
import AvaloWire
import Testing

/// The bytes of broadcasts in the background, and of what is held for later.
extension GoldenBytesTests {
  @Test func ofBroadcasts() throws {
    try expect(
      BeginBroadcast(
        owner: "shop", attempt: 7, contentHash: 0x1122_3344_5566_7788, record: Sample.record, recipients: 1500),
      "5d000000300100000d0c0b0a040073686f70070000000000000088776655443322113f000000010201013c0000000047"
        + "a47d8b010000403ab7c9e208060000000000000000000500030002000200070000006576745f3178797a63316d317b22"
        + "61223a317ddc050000")
    try expect(
      BroadcastBegun(broadcast: 5, durability: .os, duplicate: true),
      "0a000000310100000d0c0b0a05000000000000000101")
    try expect(
      BroadcastPart(broadcast: 5, attempt: 7, first: 1000, recipients: ["a", "b"]),
      "1e000000320100000d0c0b0a05000000000000000700000000000000e803000002000000010061010062")
    try expect(
      BroadcastPartTaken(received: 1002),
      "04000000330100000d0c0b0aea030000")
    try expect(
      BroadcastQuery(owner: "shop", broadcast: 5),
      "0e000000340100000d0c0b0a040073686f700500000000000000")
    try expect(
      BroadcastStatus(
        eventID: "evt_1", recipients: 1500, done: 1000, failed: 1, startedMilliseconds: 1_698_620_000_000,
        finishedMilliseconds: 0),
      "23000000350100000d0c0b0a05006576745f31dc050000e8030000010000000047a47d8b0100000000000000000000")
  }

  @Test func ofHeldEvents() throws {
    try expect(
      CancelDelayed(owner: "shop", eventID: "evt_1", topic: "user:abc"),
      "17000000360100000d0c0b0a040073686f7005006576745f310800757365723a616263")
    try expect(
      DelayedCancelled(topic: Topic("user:abc")!, duplicate: true),
      "0b000000370100000d0c0b0a0800757365723a61626301")
  }

  @Test func ofTopics() throws {
    try expect(
      ReadTopic(
        topic: Topic("user:abc")!, after: Position(epoch: Sample.epoch, offset: 17),
        sinceMilliseconds: 1_698_620_000_000, limit: 100),
      "26000000380100000d0c0b0a0800757365723a616263aac0d1420100000011000000000000000047a47d8b0100006400"
        + "0000")
    try expect(
      TopicPage(
        head: Position(epoch: Sample.epoch, offset: 20), floor: 2, after: 17, through: 19,
        rows: [.init(offset: 18, record: Sample.record)]),
      "77000000390100000d0c0b0aaac0d1420100000014000000000000000200000000000000110000000000000013000000"
        + "000000000100000012000000000000003f000000010201013c0000000047a47d8b010000403ab7c9e208060000000000"
        + "000000000500030002000200070000006576745f3178797a63316d317b2261223a317d")
  }

  @Test func ofMemberships() throws {
    try expect(
      MembershipsQuery(user: "abc", limit: 256),
      "090000003a0100000d0c0b0a030061626300010000")
    try expect(
      Memberships(chats: ["c1", "c2"]),
      "0c0000003b0100000d0c0b0a020000000200633102006332")
  }

  @Test func ofLeases() throws {
    try expect(
      Lease(
        session: 9, place: 3, user: "abc", connection: "conn_1", use: .stream,
        beganMicroseconds: 1_698_620_000_000_000),
      "22000000400100000d0c0b0a09000000000000000300000003006162630600636f6e6e5f31020058b5c9e2080600")
    try expect(
      LeaseLost(session: 9, place: 3),
      "0c000000410100000d0c0b0a090000000000000003000000")
  }

  @Test func ofWhatWasMissed() throws {
    try expect(LatestSeen(version: 17), "08000000420100000d0c0b0a1100000000000000")
    try expect(LatestAt(version: 18), "08000000430100000d0c0b0a1200000000000000")
  }
}
