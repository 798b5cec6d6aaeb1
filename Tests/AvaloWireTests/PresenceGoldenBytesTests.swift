import AvaloCore
import AvaloWire
import Testing

/// The bytes of what gateways and presence say to each other.
extension GoldenBytesTests {
  private static let state = PresenceState(
    status: .busy, platform: .android, lastSeenMilliseconds: 1_698_620_000_000,
    lastActiveMilliseconds: 1_698_620_000_001, customStatus: "Döner", activity: "x",
    location: CoarseLocation(place: "Berlin", spot: CoarseLocation.Spot(latitudeTenths: 525, longitudeTenths: -1)),
    activityVisibility: .chatPartners, locationVisibility: .nobody)
  private static let subscriptions = SessionSubscriptions(count: 40, topics: [Topic("user:ann")!])

  @Test func ofTheRegistry() throws {
    try expect(
      Sessions(entries: [
        .init(
          session: 9, user: "abc", device: "dev", platform: .web, connectionID: "conn_1",
          connectedMilliseconds: 1_698_620_000_000, isShown: true)
      ]),
      "28000000010200000d0c0b0a01000000090000000000000003006162630300646576010600636f6e6e5f310047a47d8b"
        + "01000001")
    try expect(
      SessionsEnd(),
      "00000000020200000d0c0b0a")
    try expect(
      SessionsClosed(entries: [.init(session: 9, clean: true), .init(session: 10, clean: false)]),
      "16000000030200000d0c0b0a020000000900000000000000010a0000000000000000")
    try expect(
      SessionsSeen(entries: [.init(session: 9, active: true), .init(session: 10, active: false)]),
      "16000000060200000d0c0b0a020000000900000000000000010a0000000000000000")
  }

  @Test func ofPresence() throws {
    try expect(
      PresenceQuery(users: ["a", "b"], viewer: "v", chats: ["c1"]),
      "15000000040200000d0c0b0a020000000100610100620100760100000002006331")
    try expect(
      PresenceAnswer(entries: [.init(state: Self.state, typingIn: ["c1"]), .init(state: PresenceState())]),
      "56000000050200000d0c0b0a0200000003030047a47d8b0100000147a47d8b010000060044c3b66e6572010078010201"
        + "06004265726c696e010d02ffff0100000002006331000000000000000000000000000000000000000000000101000000"
        + "0000")
    try expect(
      SetPresence(
        user: "ann", session: 9, connectionID: "conn_1", status: .set(.busy), platform: .ios, customStatus: .clear,
        activity: .keep, location: .set(CoarseLocation(spot: Self.state.location?.spot)), activityVisibility: .everyone,
        locationVisibility: nil, chats: ["c1"]),
      "2c000000070200000d0c0b0a0300616e6e09000000000000000600636f6e6e5f310203020100020000010d02ffff00ff"
        + "0100000002006331")
    try expect(
      PresenceSet(state: Self.state),
      "2d000000080200000d0c0b0a03030047a47d8b0100000147a47d8b010000060044c3b66e657201007801020106004265"
        + "726c696e010d02ffff")
  }

  @Test func ofWatchingUsers() throws {
    try expect(
      WatchPresence(entries: [.init(handle: 0x0100_0002, version: 7, user: "ann")]),
      "15000000090200000d0c0b0a010000000200000107000000000000000300616e6e")
    try expect(
      UnwatchPresence(handles: [1, 2]),
      "0c0000000a0200000d0c0b0a020000000100000002000000")
    try expect(
      PresenceUnwatched(handles: [1]),
      "080000000b0200000d0c0b0a0100000001000000")
    try expect(
      PresenceChanged(version: 8, handles: [0x0100_0002], state: Self.state, chats: ["c1"]),
      "450000000c0200000d0c0b0a0800000000000000010000000200000103030047a47d8b0100000147a47d8b0100000600"
        + "44c3b66e657201007801020106004265726c696e010d02ffff0100000002006331")
  }

  @Test func ofTyping() throws {
    try expect(
      SetTyping(user: "ann", chat: "c1", session: 9, device: "dev", isTyping: true),
      "170000000d0200000d0c0b0a0300616e6e020063310900000000000000030064657601")
    try expect(
      TypingChanged(user: "ann", chat: "c1", device: "", isTyping: true, sequence: 5, expiresMilliseconds: 5000),
      "180000000e0200000d0c0b0a0300616e6e02006331000001050000000000000088130000")
    try expect(
      TypingEnded(user: "ann", chat: "c1", sequence: 5, isForOthers: true),
      "120000000f0200000d0c0b0a0300616e6e02006331050000000000000001")
  }

  @Test func ofListsForServers() throws {
    try expect(
      OnlineUsersQuery(after: 3, limit: 100, status: .away),
      "0d000000100200000d0c0b0a03000000000000006400000002")
    try expect(
      OnlineUsers(entries: [.init(user: "ann", state: PresenceState())], next: 4, total: 9),
      "32000000110200000d0c0b0a010000000300616e6e000000000000000000000000000000000000000000000101000400"
        + "0000000000000900000000000000")
    try expect(
      ConnectionsQuery(user: "ann", after: 0, limit: 100),
      "11000000120200000d0c0b0a0300616e6e000000000000000064000000")
    try expect(
      ConnectionList(
        entries: [
          .init(
            connectionID: "conn_1", user: "ann", device: "dev", platform: .ios,
            connectedMilliseconds: 1_698_620_000_000, seenMilliseconds: 1_698_620_000_001,
            subscriptions: Self.subscriptions)
        ], next: 0),
      "41000000130200000d0c0b0a010000000600636f6e6e5f310300616e6e0300646576020047a47d8b0100000147a47d8b"
        + "01000028000000010000000800757365723a616e6e0000000000000000")
    try expect(
      DescribeSessions(sessions: [9]),
      "0c000000140200000d0c0b0a010000000900000000000000")
    try expect(
      SessionsDescribed(entries: [.init(session: 9, subscriptions: Self.subscriptions)]),
      "1e000000150200000d0c0b0a01000000090000000000000028000000010000000800757365723a616e6e")
    try expect(
      Disconnect(user: "ann", connectionID: "", mayReturn: true),
      "08000000160200000d0c0b0a0300616e6e000001")
    try expect(
      Disconnected(count: 2),
      "04000000170200000d0c0b0a02000000")
    try expect(
      EndSessions(sessions: [9, 10], mayReturn: false),
      "15000000180200000d0c0b0a0200000009000000000000000a0000000000000000")
  }

  @Test func ofAConnectionsOwner() throws {
    try expect(ConnectionOwnerQuery(user: "ann", connectionID: "c1"), "09000000190200000d0c0b0a0300616e6e02006331")
    try expect(ConnectionOwner(isAnother: true), "010000001a0200000d0c0b0a01")
  }

  @Test func ofEndedPartnerships() throws {
    try expect(
      PartnershipsEnded(chat: "c1", users: ["ann", "bo"]), "11000000250100000d0c0b0a02006331020000000300616e6e0200626f")
  }

  @Test func ofErasing() throws {
    try expect(ErasePresence(user: "abc"), "05000000500100000d0c0b0a0300616263")
    try expect(PresenceErased(), "00000000510100000d0c0b0a")
  }
}
