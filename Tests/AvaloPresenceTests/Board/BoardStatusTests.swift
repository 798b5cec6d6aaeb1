import AvaloCore
import AvaloWire
import Testing

@testable import AvaloPresence

/// What users say of themselves, and how long it holds.
@Suite struct BoardStatusTests {
  /// Ann's presence, by a board that knows all of her.
  private func state(_ board: inout Board, at time: Int64) -> PresenceState? {
    _ = board.takeChanges(at: at(time))
    return board.user("ann").map { board.state(of: $0, at: at(time)) }
  }

  private func status(_ board: inout Board, at time: Int64) -> PresenceStatus? { state(&board, at: time)?.status }

  private func apply(_ update: SetPresence, to board: inout Board, at time: Int64, by incarnation: UInt64 = 7)
    -> Failed?
  {
    let user = board.obtain(update.user)
    board.loaded(user, StoredUser(id: update.user), at: at(time))
    return board.update(update, by: incarnation, at: at(time))
  }

  private func say(
    _ status: PresenceStatus?, on session: UInt64, to board: inout Board, at time: Int64
  ) {
    let refusal = apply(
      SetPresence(user: "ann", session: session, status: status.map { .set($0) } ?? .clear), to: &board, at: time)
    #expect(refusal == nil)
  }

  // MARK: - On a device

  @Test func holdsForAsLongAsTheDeviceLives() {
    var board = Board.linked([1, 2])
    say(.busy, on: 1, to: &board, at: 1000)
    #expect(status(&board, at: 1000) == .busy)
    board.close(1, clean: true, at: 2000)
    board.tick(11_999)
    #expect(status(&board, at: 11_999) == .busy, "it lingers")
    board.tick(12_000)
    #expect(status(&board, at: 12_000) == .online, "the other device says nothing")
  }

  @Test func goesWithThePageThatReloads() {
    var board = Board.linked([1])
    say(.away, on: 1, to: &board, at: 1000)
    board.close(1, clean: true, at: 2000)
    board.name([2], device: "d1", at: 2500)
    #expect(status(&board, at: 60_000) == .away)
    board.close(2, clean: true, at: 60_000)
    board.name([3], device: "another", at: 60_500)
    board.tick(80_000)
    #expect(status(&board, at: 80_000) == .online)
  }

  /// Two tabs of one browser are one device.
  @Test func holdsForEveryConnectionOfTheDevice() {
    var board = Board.linked()
    board.name([1, 2], device: "browser")
    say(.busy, on: 1, to: &board, at: 0)
    board.close(1, clean: true, at: 0)
    board.tick(20_000)
    #expect(status(&board, at: 20_000) == .busy)
    say(nil, on: 2, to: &board, at: 20_000)
    #expect(status(&board, at: 20_000) == .online)
  }

  @Test func isOfflineByTheUsersOwnWord() {
    var board = Board.linked([1])
    board.hear(1, at: 3000)
    say(.offline, on: 1, to: &board, at: 5000)
    #expect(status(&board, at: 5000) == .offline && board.onlineCount == 0)
    board.hear(1, active: true, at: 90_000)
    #expect(state(&board, at: 90_000)?.lastSeenMilliseconds == wallAtZero + 5000, "who is not here is not seen")
    board.close(1, clean: true, at: 95_000)
    board.tick(200_000)
    #expect(board.write().users.last?.row.seenMilliseconds == wallAtZero + 5000)
  }

  /// Somebody else's session, or one that is not known, is no device of the user's.
  @Test func isSaidByTheUsersOwnDevicesOnly() {
    var board = Board.linked([1])
    board.name([9], user: "bob")
    let update = SetPresence(user: "ann", connectionID: "c9", status: .set(.busy))
    #expect(apply(update, to: &board, at: 0)?.code == .permissionDenied)
    #expect(
      apply(SetPresence(user: "ann", connectionID: "c5", status: .set(.busy)), to: &board, at: 0)?.code
        == .permissionDenied)
    #expect(status(&board, at: 0) == .online && board.status(of: "bob") == .online)
    #expect(apply(SetPresence(user: "ann", connectionID: "c1", status: .set(.busy)), to: &board, at: 0) == nil)
    #expect(status(&board, at: 0) == .busy && board.status(of: "bob") == .online)
  }

  @Test func isRefusedWithoutLeavingATrace() {
    var board = Board.linked()
    #expect(apply(SetPresence(user: "ann", connectionID: "c1", status: .set(.busy)), to: &board, at: 0) != nil)
    _ = board.takeChanges(at: at(0))
    #expect(board.users.count == 0)
  }

  // MARK: - Without a device

  @Test func holdsForFiveMinutesFromTheLastCall() {
    var board = Board.linked()
    say(.busy, on: 0, to: &board, at: 0)
    #expect(status(&board, at: 0) == .busy && board.onlineCount == 1)
    board.tick(299_999)
    #expect(status(&board, at: 299_999) == .busy)
    _ = apply(SetPresence(user: "ann", customStatus: .set("x")), to: &board, at: 299_999)
    board.tick(599_998)
    #expect(status(&board, at: 599_998) == .busy)
    board.tick(599_999)
    #expect(status(&board, at: 599_999) == .offline && board.onlineCount == 0)
    #expect(board.lastSeen() == 299_999)
    _ = board.write()
    #expect(board.user("ann") == nil)
  }

  /// Said over HTTP while a device is there, it lives with the devices, and makes no ghost.
  @Test func livesAndDiesWithDevicesThatAreThere() {
    var board = Board.linked([1])
    say(.busy, on: 0, to: &board, at: 0)
    board.tick(1_000_000)
    #expect(status(&board, at: 1_000_000) == .busy)
    board.close(1, clean: true, at: 1_000_000)
    board.tick(1_010_000)
    #expect(status(&board, at: 1_010_000) == .offline)
    // The same with a device that came later.
    say(.away, on: 0, to: &board, at: 2_000_000)
    board.name([2], at: 2_001_000)
    board.tick(3_000_000)
    #expect(status(&board, at: 3_000_000) == .away)
    board.close(2, clean: true, at: 3_000_000)
    board.tick(3_010_000)
    #expect(status(&board, at: 3_010_000) == .offline)
  }

  @Test func survivesThePageThatReloads() {
    var board = Board.linked([1])
    say(.busy, on: 0, to: &board, at: 0)
    board.close(1, clean: true, at: 1000)
    board.name([2], device: "d1", at: 1500)
    #expect(status(&board, at: 60_000) == .busy)
  }

  @Test func isTakenBack() {
    var board = Board.linked()
    say(.busy, on: 0, to: &board, at: 0)
    say(nil, on: 0, to: &board, at: 1000)
    #expect(status(&board, at: 1000) == .offline)
  }

  // MARK: - The rest

  @Test func keepsEachFieldUntilItIsSaidAnew() {
    var board = Board.linked([1])
    let place = CoarseLocation(place: "Berlin")
    _ = apply(
      SetPresence(
        user: "ann", session: 1, platform: .android, customStatus: .set("hi"), activity: .set("reading"),
        location: .set(place), locationVisibility: .nobody, chats: ["c1"]), to: &board, at: 1000)
    var expected = PresenceState(
      status: .online, platform: .android, lastSeenMilliseconds: wallAtZero + 1000,
      lastActiveMilliseconds: wallAtZero + 1000, customStatus: "hi", activity: "reading", location: place,
      locationVisibility: .nobody)
    #expect(state(&board, at: 1000) == expected)
    _ = apply(
      SetPresence(user: "ann", session: 1, customStatus: .clear, activityVisibility: .everyone), to: &board, at: 2000)
    expected.customStatus = ""
    expected.activityVisibility = .everyone
    expected.lastSeenMilliseconds += 1000
    expected.lastActiveMilliseconds += 1000
    #expect(state(&board, at: 2000) == expected)
  }

  /// Whose chats a user is in is their gateways' knowledge; it is kept only where something depends on it.
  @Test func keepsChatsOnlyForPartners() throws {
    var board = Board.linked([1])
    func chats() throws -> [String] { board.details[try #require(board.user("ann"))]?.chats ?? [] }
    _ = apply(SetPresence(user: "ann", customStatus: .set("hi"), chats: ["c1"]), to: &board, at: 0)
    #expect(try chats() == [])
    _ = apply(SetPresence(user: "ann", activity: .set("x"), chats: ["c1", "c2"]), to: &board, at: 0)
    #expect(try chats() == ["c1", "c2"])
    // What is no part for partners is said without looking for all chats.
    _ = apply(SetPresence(user: "ann", status: .set(.busy), chats: ["c2", "c3"]), to: &board, at: 0)
    #expect(try chats() == ["c1", "c2", "c3"])
    _ = apply(SetPresence(user: "ann", activity: .set("y"), chats: ["c3"]), to: &board, at: 0)
    #expect(try chats() == ["c3"])
    _ = apply(SetPresence(user: "ann", activityVisibility: .everyone, chats: ["c1"]), to: &board, at: 0)
    #expect(try chats() == [])
  }

  @Test func isAwayAfterDoingNothingForLong() {
    var settings = PresenceSettings()
    settings.awayAfterMilliseconds = 600_000
    var board = Board.empty(settings)
    board.link(7)
    board.name([1, 2])
    board.hear(2, active: true, at: 300_000)
    board.lookForIdle(at: at(800_000))
    #expect(status(&board, at: 800_000) == .online)
    board.lookForIdle(at: at(900_000))
    #expect(status(&board, at: 900_000) == .away)
    #expect(state(&board, at: 900_000)?.lastActiveMilliseconds == wallAtZero + 300_000)
    board.hear(1, at: 950_000)
    #expect(status(&board, at: 950_000) == .away, "to be there is not to do something")
    board.hear(1, active: true, at: 960_000)
    #expect(status(&board, at: 960_000) == .online)
  }

  @Test func hiddenConnectionsShowNobody() {
    var board = Board.linked()
    board.opened(
      [
        Sessions.Entry(
          session: 1, user: "ann", device: "d", platform: .web, connectionID: "c1", connectedMilliseconds: wallAtZero,
          isShown: false)
      ], by: 7, at: at(0))
    #expect(status(&board, at: 0) == .offline && board.connectionCount == 1)
    board.hear(1, active: true, at: 5000)
    #expect(board.lastSeen() != 5000)
    board.name([1], at: 6000)
    #expect(status(&board, at: 6000) == .online)
  }

  // MARK: - Lists

  @Test func listsWhoIsNotOffline() {
    var board = Board.linked()
    for (session, user) in [(1, "ann"), (2, "bob"), (3, "eve"), (4, "zoe")] as [(UInt64, String)] {
      board.name([session], user: user)
    }
    say(.busy, on: 1, to: &board, at: 0)
    board.close(4, clean: true, at: 0)
    board.tick(10_000)
    _ = board.takeChanges(at: at(10_000))
    var pages: [[String]] = []
    var query = OnlineUsersQuery(after: 0, limit: 2, status: .offline)
    repeat {
      let page = board.onlineUsers(query, at: at(10_000))
      #expect(page.total == 3)
      pages.append(page.entries.map(\.user))
      query.after = page.next
    } while query.after != 0
    #expect(pages == [["ann", "bob"], ["eve"]])
    let busy = board.onlineUsers(OnlineUsersQuery(after: 0, limit: 10, status: .busy), at: at(10_000))
    #expect(busy.entries.map(\.user) == ["ann"] && busy.next == 0)
  }

  // MARK: - Erasing

  /// Nothing is left of the user: not here, not in the file, and a gateway that speaks of their sessions late brings nothing
  /// back.
  @Test func nothingIsLeftOfAnErasedUser() {
    var board = Board.linked([1, 2])
    let user = board.obtain("ann")
    board.loaded(user, StoredUser(id: "ann"), at: at(0))
    _ = board.update(
      SetPresence(user: "ann", session: 1, status: .set(.busy), customStatus: .set("here")), by: 7, at: at(10))
    _ = board.write(at: 10)
    _ = board.takeChanges(at: at(10))
    #expect(board.erase("ann") == user)
    #expect(board.state(of: user, at: at(20)) == PresenceState())
    let changes = board.takeUnwritten(max: .max, at: at(20))
    #expect(changes.users.map(\.row.isNobody) == [true] && changes.closed.count == 2 && changes.connections.isEmpty)
    board.hear(1, at: 30)
    board.close(2, clean: true, at: 30)
    #expect(board.state(of: user, at: at(30)) == PresenceState() && board.sessions() == [])
  }

  /// The file may know a user of whom nothing is here; what it answers late is not believed.
  @Test func whatTheFileKnewOfAnErasedUserIsNotBelieved() {
    var board = Board.linked()
    let user = board.obtain("zoe")
    board.want(user)
    _ = board.erase("zoe")
    board.loaded(user, StoredUser(id: "zoe", seenMilliseconds: 5), at: at(0))
    #expect(board.users[user].lastSeenMilliseconds == 0)
    #expect(board.takeUnwritten(max: .max, at: at(0)).users.map(\.row.isNobody) == [true])
  }

  // MARK: - Being there unseen

  @Test func whoSaysOfflineDoesNothingThatOthersSee() {
    var board = Board.linked([1])
    say(.offline, on: 1, to: &board, at: 1000)
    board.acted("ann", SessionKey(incarnation: 7, session: 1), at: at(5000))
    board.name([2], device: "d1", at: 6000)
    board.hear(1, active: true, at: 7000)
    #expect(state(&board, at: 7000)?.lastActiveMilliseconds == wallAtZero + 1000)
    say(.online, on: 1, to: &board, at: 8000)
    #expect(state(&board, at: 8000)?.lastActiveMilliseconds == wallAtZero + 8000)
  }

  @Test func whoIsHiddenDoesNothingThatOthersSee() {
    var board = Board.linked([])
    board.opened(
      [
        Sessions.Entry(
          session: 1, user: "ann", device: "d", platform: .ios, connectionID: "c", connectedMilliseconds: wallAtZero,
          isShown: false)
      ], by: 7, at: at(1000))
    board.acted("ann", SessionKey(incarnation: 7, session: 1), at: at(5000))
    #expect(state(&board, at: 5000)?.lastActiveMilliseconds == 0)
    #expect(StoredUser(id: "bob", seenMilliseconds: 4, activeMilliseconds: 9).state.lastActiveMilliseconds == 4)
  }

  // MARK: - Partners

  @Test func aChatThatOneHasLeftShowsNothingMore() {
    var board = Board.linked([1])
    #expect(
      apply(
        SetPresence(user: "ann", session: 1, activity: .set("chess"), chats: ["c1", "c2"]), to: &board, at: 1000) == nil
    )
    let ann = board.user("ann")!
    _ = board.write(at: 1000)
    board.endPartnerships(of: ann, in: ["c9"])
    #expect(board.details[ann]?.chats == ["c1", "c2"])
    board.endPartnerships(of: ann, in: ["c1", "c9"])
    #expect(board.details[ann]?.chats == ["c2"])
    #expect(board.write(at: 2000).users.first?.row.details.chats == ["c2"], "the file forgets it, too")
  }
}
