import AvaloCore
import AvaloWire
import Testing

@testable import AvaloPresence

/// A session's states, and who is online for it.
@Suite struct BoardSessionsTests {
  /// Every state with every event, at 100 s; what is left 1 ms later.
  @Test func everyStateWithEveryEvent() {
    let absent: ConnectionRow.State? = nil
    let table:
      [(
        event: String, absent: ConnectionRow.State?, open: ConnectionRow.State?, unconfirmed: ConnectionRow.State?,
        lingering: ConnectionRow.State?
      )] = [
        ("named", .open, .open, .open, .open),
        ("closed", absent, .lingering, .lingering, .lingering),
        ("dropped", absent, .lingering, .lingering, .lingering),
        ("heard of", absent, .open, .open, .lingering),
        ("link opened", absent, .unconfirmed, .unconfirmed, .lingering),
        ("snapshot ended", absent, .open, .lingering, .lingering),
        ("link closed", absent, .unconfirmed, .unconfirmed, .lingering),
        ("time passes", absent, .open, .unconfirmed, .lingering),
        ("much time passes", absent, .open, absent, absent),
        ("swept", absent, .open, .unconfirmed, .lingering),
        ("swept late", absent, absent, .unconfirmed, .lingering),
      ]
    let states: [ConnectionRow.State?] = [nil, .open, .unconfirmed, .lingering]
    for row in table {
      for (state, expected) in zip(states, [row.absent, row.open, row.unconfirmed, row.lingering]) {
        var board = board(with: state)
        apply(row.event, to: &board)
        board.tick(100_001)
        let found = board.connection(1, of: 0).map { board.connections[$0].state }
        #expect(found == expected, "\(state.map { "\($0)" } ?? "absent") and \(row.event)")
        let isOnline = board.isOnline()
        #expect(isOnline == (expected != nil))
      }
    }
  }

  private func board(with state: ConnectionRow.State?) -> Board {
    var board = Board.linked(state == nil ? [] : [1])
    board.hear(1, at: 100_000)
    switch state {
    case .unconfirmed: board.unlink(7, at: 100_000)
    case .lingering: board.close(1, clean: true, at: 100_000)
    default: break
    }
    return board
  }

  private func apply(_ event: String, to board: inout Board) {
    switch event {
    case "named": board.name([1], at: 100_000)
    case "closed": board.close(1, clean: true, at: 100_000)
    case "dropped": board.close(1, clean: false, at: 100_000)
    case "heard of": board.hear(1, at: 100_000)
    case "link opened": board.link(7, at: 100_000)
    case "snapshot ended": board.snapshotEnded(7, at: at(100_000))
    case "link closed": board.unlink(7, at: 100_000)
    case "time passes": board.tick(109_999)
    case "much time passes": board.tick(135_000)
    case "swept": _ = board.sweep(at: at(400_000))
    case "swept late": _ = board.sweep(at: at(400_001))
    default: Issue.record("no event \(event)")
    }
  }

  @Test(arguments: [(true, Int64(10_000)), (false, 20_000)])
  func staysOnlineForALingerAfterTheLastConnection(clean: Bool, linger: Int64) {
    var board = Board.linked([1])
    board.close(1, clean: clean, at: 1000)
    board.tick(999 + linger)
    let before = board.isOnline()
    #expect(before && board.onlineCount == 1)
    board.tick(1000 + linger)
    let after = board.isOnline()
    #expect(!after && board.onlineCount == 0)
  }

  @Test func aCloseRemovesOnlyItsOwnRow() {
    var board = Board.linked([1, 2])
    board.close(1, clean: true, by: 8, at: 1000)
    #expect(board.sessions(.open) == [1, 2])
    board.close(1, clean: true, at: 1000)
    board.tick(100_000)
    let isOnline = board.isOnline()
    #expect(board.sessions() == [2] && isOnline)
  }

  /// Two gateways may number their sessions alike, and two sessions may say the same connection id.
  @Test func tellsGatewaysApart() {
    var board = Board.linked([1])
    board.link(8)
    board.name([1], by: 8, user: "bob")
    board.close(1, clean: true, by: 8, at: 0)
    board.tick(10_000)
    let online = ["ann", "bob"].map { board.isOnline($0) }
    #expect(online == [true, false])
  }

  @Test func letsGoWhatASnapshotDoesNotName() {
    var board = Board.linked([1, 2])
    board.unlink(7, at: 1000)
    board.link(7, at: 2000)
    board.name([2], at: 2000)
    #expect(board.sessions(.unconfirmed) == [1])
    board.snapshotEnded(7, at: at(2000))
    #expect(board.sessions(.lingering) == [1] && board.sessions(.open) == [2])
    board.tick(22_000)
    #expect(board.sessions() == [2])
  }

  /// A gateway links anew before we notice that its old link is dead: the old link's end is no news then.
  @Test func passesOverTheEndOfAReplacedLink() {
    var board = Board.linked([1])
    let (old, new) = (TestLink(), TestLink())
    board.linkOpened(7, ObjectIdentifier(old), at: at(1000))
    board.linkOpened(7, ObjectIdentifier(new), at: at(1000))
    board.name([1], at: 1000)
    board.snapshotEnded(7, at: at(1000))
    board.linkClosed(7, ObjectIdentifier(old), at: at(2000))
    #expect(board.sessions(.open) == [1])
    board.linkClosed(7, ObjectIdentifier(new), at: at(2000))
    #expect(board.sessions(.unconfirmed) == [1])
  }

  /// Mostly the gateway has died, and its connections with it: their users have as long as after any connection that was lost.
  @Test func usersOfAGatewayThatIsGoneHaveTheTimeOfADrop() {
    var board = Board.linked([1])
    board.unlink(7, at: 1000)
    let online = [Int64(20_999), 21_000].map { time in
      board.tick(time)
      return board.isOnline(at: time)
    }
    #expect(online == [true, false])
    // Without a linger a gateway that lives still has the time to link anew.
    var settings = PresenceSettings()
    settings.lingerDropMilliseconds = 0
    var quick = Board.empty(settings)
    quick.link(7)
    quick.name([1])
    quick.unlink(7, at: 1000)
    quick.tick(1000 + PresenceLimits.relinkMilliseconds - 1)
    #expect(quick.sessions(.unconfirmed) == [1])
  }

  /// A device that has come back elsewhere has no connection at a gateway that is gone.
  @Test func aDeviceThatIsBackLeavesAGatewayThatIsGone() {
    var board = Board.linked([1, 2])
    board.link(8)
    board.unlink(7, at: 1000)
    board.name([3], by: 8, device: "d1", at: 2000)
    #expect(board.sessions() == [2, 3])
    // It was there all the same, and says so.
    board.link(7, at: 3000)
    board.name([1, 2], at: 3000)
    board.snapshotEnded(7, at: at(3000))
    #expect(board.sessions(.open) == [1, 2, 3])
  }

  @Test func aDeviceThatIsBackDoesNotLinger() {
    var board = Board.linked([1])
    board.close(1, clean: true, at: 1000)
    board.name([2], device: "d1", at: 1500)
    #expect(board.sessions() == [2])
    board.close(2, clean: true, at: 2000)
    board.name([3], device: "other", at: 2500)
    #expect(board.sessions(.lingering) == [2] && board.sessions(.open) == [3])
  }

  /// Durations are the monotonic clock's: the time of day may jump as it likes.
  @Test func keepsItsTimesWhenTheClockIsSet() {
    var board = Board.linked([1, 2])
    board.close(1, clean: true, at: 1000)
    let jump: Int64 = 365 * 24 * 3_600_000
    board.tick(at: Moment(monotonic: 2000, wall: wallAtZero + jump))
    #expect(board.sessions() == [1, 2])
    _ = board.sweep(at: Moment(monotonic: 3000, wall: wallAtZero + jump))
    #expect(board.sessions() == [1, 2])
    board.tick(at: Moment(monotonic: 11_000, wall: wallAtZero - jump))
    #expect(board.sessions() == [2])
  }

  @Test func remembersWhenTheUserWasSeen() {
    var board = Board.linked([1])
    #expect(board.lastSeen() == 0)
    board.hear(1, at: 5000)
    #expect(board.lastSeen() == 5000)
    board.close(1, clean: true, at: 9000)
    #expect(board.lastSeen() == 9000)
    board.tick(60_000)
    let stored = board.write().users.map(\.row)
    #expect(
      stored == [
        StoredUser(
          id: "ann", isWhole: false, seenMilliseconds: wallAtZero + 9000, activeMilliseconds: wallAtZero)
      ])
    _ = board.takeChanges(at: at(60_000))
    #expect(board.user("ann") == nil, "the file knows the rest")
  }

  // MARK: - Over a restart

  /// What the file says of a board, as the next life reads it.
  private func nextLife(_ board: Board, writtenAt: Int64, startedAt now: Moment) -> Board {
    var board = board
    let rows = board.takeUnwritten(max: .max, at: at(writtenAt)).connections.map(\.row)
    var next = Board.empty()
    next.load(rows, at: now)
    return next
  }

  @Test func believesRowsOfAnEarlierLifeOnlyForAWhile() {
    var board = nextLife(.linked([1]), writtenAt: 0, startedAt: at(5000))
    #expect(board.status() == .online && board.unwritten.count == 0, "what the file said is not written again")
    let online = [Int64(39_999), 40_000].map { time in
      board.tick(time)
      return board.isOnline()
    }
    #expect(online == [true, false])
    #expect(board.write().closed == [SessionKey(incarnation: 7, session: 1)])
  }

  @Test func confirmsRowsOfAnEarlierLife() {
    var board = nextLife(.linked([1, 2]), writtenAt: 0, startedAt: at(5000))
    board.link(7, at: 6000)
    board.name([2], at: 6000)
    board.snapshotEnded(7, at: at(6000))
    board.tick(26_000)
    #expect(board.sessions(.open) == [2] && board.sessions() == [2])
  }

  /// The monotonic clock of another boot says nothing: what is left of a linger goes by the time of day.
  @Test func lingersGoOnOverARestart() {
    var first = Board.linked([1])
    first.close(1, clean: false, at: 1000)
    let reboot = Moment(monotonic: 50, wall: wallAtZero + 6000)
    var board = nextLife(first, writtenAt: 1000, startedAt: reboot)
    #expect(board.sessions(.lingering) == [1] && board.status() == .online)
    let online = [Int64(14_999), 15_000].map { time in
      board.tick(at: Moment(monotonic: 50 + time, wall: wallAtZero))
      return board.isOnline()
    }
    #expect(online == [true, false])
  }

  @Test(arguments: [Int64(-1_000_000_000), 1_000_000_000]) func noClockMakesALingerLonger(jump: Int64) {
    var first = Board.linked([1])
    first.close(1, clean: false, at: 1000)
    var board = nextLife(first, writtenAt: 1000, startedAt: Moment(monotonic: 0, wall: wallAtZero + jump))
    board.tick(at: Moment(monotonic: 20_000, wall: wallAtZero + jump))
    let isOnline = board.isOnline()
    #expect(!isOnline)
  }

  @Test func forgetsGatewaysThatAreGone() {
    var board = Board.empty()
    for incarnation in UInt64(1)...1000 {
      board.link(incarnation)
      board.name([1], by: incarnation)
      board.close(1, clean: true, by: incarnation, at: 0)
      board.unlink(incarnation, at: 0)
      board.tick(10_000)
    }
    #expect(board.gateways.count == 1 && board.connections.end == 1)
  }
}
