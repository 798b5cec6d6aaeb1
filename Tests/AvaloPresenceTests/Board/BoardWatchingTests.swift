import AvaloCore
import AvaloTesting
import AvaloWire
import Testing

@testable import AvaloPresence

/// Who is told what, once, and when.
@Suite struct BoardWatchingTests {
  /// What was told: `link/handle status`, in order.
  private func told(_ board: inout Board, at time: Int64 = 0) -> [String] {
    board.takeChanges(at: at(time)).flatMap { change in
      change.targets.map { "\($0.link)/\($0.handle) \(change.state.status.wireName)" }
    }.sorted()
  }

  private func watch(
    _ board: inout Board, _ users: String..., link: UInt16 = 0, version: UInt64 = 0, from handle: UInt32 = 1
  ) {
    board.watch(
      users.enumerated().map { WatchPresence.Entry(handle: handle + UInt32($0), version: version, user: $1) }, by: link)
  }

  /// The file's answers, to all that is asked.
  private func load(_ board: inout Board, _ known: StoredUser..., at time: Int64 = 0) {
    let early = board.takeChanges(at: at(time))
    #expect(early.isEmpty)
    for (index, id) in board.takeWanted() {
      board.loaded(index, known.first { $0.id == id } ?? StoredUser(id: id), at: at(time))
    }
  }

  @Test func beginsWithASnapshotAndGoesOnWithChanges() {
    var board = Board.linked([1])
    watch(&board, "ann", "bob")
    #expect(told(&board) == [], "the file may know more")
    load(&board)
    #expect(told(&board) == ["0/1 online", "0/2 offline"])
    #expect(told(&board) == [])
    board.name([2], user: "bob")
    #expect(told(&board) == ["0/2 online"])
    board.name([3], user: "bob")
    board.hear(1, 2, at: 1000)
    #expect(told(&board, at: 1000) == [], "that is no news")
  }

  @Test func tellsEveryWatcherOfOneChange() {
    var board = Board.linked([1])
    watch(&board, "ann")
    load(&board)
    _ = told(&board)
    watch(&board, "ann", link: 1, from: 9)
    #expect(told(&board) == ["1/9 online"], "only who knows nothing yet")
    board.close(1, clean: true, at: 0)
    board.tick(10_000)
    let changes = board.takeChanges(at: at(10_000))
    #expect(changes.count == 1 && changes[0].targets.count == 2)
    board.linkGone(1)
    board.unwatch([1], by: 0)
    #expect(board.watches.count == 0)
    _ = board.write()
    _ = board.takeChanges(at: at(10_000))
    #expect(board.users.count == 0, "nobody wants to know of them any more")
  }

  /// A gateway that links anew says what it knows; it is told what is another since.
  @Test func tellsANewLinkOnlyWhatItDoesNotKnow() {
    var board = Board.linked([1])
    watch(&board, "ann", "bob")
    load(&board)
    let versions = Dictionary(
      board.takeChanges(at: at(0)).map { ($0.state.status, $0.version) }, uniquingKeysWith: { $1 })
    board.linkGone(0)
    board.watch(
      [
        .init(handle: 1, version: versions[.online]!, user: "ann"),
        .init(handle: 2, version: versions[.offline]!, user: "bob"),
      ], by: 1)
    load(&board)
    // Bob was forgotten when nobody watched: his version is a new one, and the gateway finds nothing new in it.
    #expect(told(&board) == ["1/2 offline"])
  }

  @Test func versionsNeverComeTwice() {
    var board = Board.linked([1])
    watch(&board, "ann")
    load(&board)
    var versions: [UInt64] = board.takeChanges(at: at(0)).map(\.version)
    for session in UInt64(1)...40 {
      let time = Int64(session) * 30_000
      board.close(session, clean: false, at: time)
      board.tick(time + 20_000)
      versions += board.takeChanges(at: at(time + 20_000)).map(\.version)
      board.name([session + 1], at: time + 20_000)
      versions += board.takeChanges(at: at(time + 20_000)).map(\.version)
    }
    #expect(versions.count > 50 && versions == Array(Set(versions)).sorted())
  }

  /// What is not told for want of room is told later, and only the last of it.
  @Test func catchesUpWithALinkThatLagged() {
    var board = Board.linked([1])
    watch(&board, "ann", "bob")
    load(&board)
    _ = told(&board)
    board.close(1, clean: true, at: 0)
    board.tick(10_000)
    #expect(told(&board, at: 10_000) == ["0/1 offline"])
    board.owe(PresenceChange.Target(link: 0, handle: 1))
    #expect(told(&board) == [])
    board.catchUp(0)
    #expect(told(&board) == ["0/1 offline"])
    board.catchUp(0)
    #expect(told(&board) == [])
  }

  // MARK: - The file

  @Test func joinsWhatTheFileKnows() throws {
    var board = Board.linked([1])
    watch(&board, "ann", "bob")
    _ = told(&board)
    var ann = StoredUser(id: "ann", seenMilliseconds: 5, activeMilliseconds: wallAtZero + 9_000_000)
    ann.details.customStatus = "hi"
    load(&board, ann, StoredUser(id: "bob", seenMilliseconds: 77))
    let changes = board.takeChanges(at: at(0))
    let states = changes.map(\.state).sorted { $0.status.rawValue < $1.status.rawValue }
    #expect(states[0] == PresenceState(lastSeenMilliseconds: 77))
    #expect(states[1].customStatus == "hi" && states[1].lastSeenMilliseconds == wallAtZero)
    #expect(states[1].lastActiveMilliseconds == wallAtZero + 9_000_000)
  }

  @Test func asksTheFileOnceAndAgainWhenItCouldNotAnswer() {
    var board = Board.linked()
    watch(&board, "ann")
    _ = told(&board)
    let asked = board.takeWanted()
    watch(&board, "ann", link: 1)
    _ = told(&board)
    #expect(asked.map(\.id) == ["ann"] && board.takeWanted().isEmpty)
    board.notLoaded(asked[0].index)
    _ = told(&board)
    load(&board)
    #expect(told(&board) == ["0/1 offline", "1/1 offline"])
  }

  /// A partial write leaves what the file knows; a whole one has everything.
  @Test func writesAllOfWhomItKnowsWhole() throws {
    var board = Board.linked([1])
    let user = try #require(board.user("ann"))
    var known = StoredUser(id: "ann")
    known.details.customStatus = "hi"
    board.loaded(user, known, at: at(0))
    board.close(1, clean: true, at: 0)
    board.tick(10_000)
    let row = try #require(board.write().users.first?.row)
    #expect(row.isWhole && row.details.customStatus == "hi")
  }

  // MARK: - After a start

  private func started(_ rows: [StoredConnection], bare: [StoredUser] = []) -> Board {
    var board = Board.empty()
    board.load(rows, bare: bare, at: at(0))
    return board
  }

  private func row(_ session: UInt64, _ user: String, incarnation: UInt64 = 7, explicit: PresenceStatus? = nil)
    -> StoredConnection
  {
    StoredConnection(
      key: SessionKey(incarnation: incarnation, session: session), user: user, device: "d", connectionID: "c",
      platform: .web, connectedMilliseconds: 0, seenMilliseconds: wallAtZero, activeMilliseconds: wallAtZero,
      explicit: explicit, order: 1)
  }

  @Test func showsThemAsTheyWere() {
    var board = started([row(1, "ann", explicit: .busy)])
    watch(&board, "ann")
    _ = told(&board)
    load(&board)
    #expect(told(&board) == ["0/1 busy"])
    #expect(board.onlineCount == 1)
    board.link(7, at: 10)
    board.name([1], at: 10)
    board.snapshotEnded(7, at: at(10))
    #expect(told(&board, at: 10) == [], "no transition comes of a restart")
  }

  /// Whoever connected just before our end may not be in the file: nobody is told that they are offline before their gateway
  /// has spoken.
  @Test func tellsNobodyOfAnAbsenceBeforeTheGatewaysHaveSpoken() {
    var board = started([row(1, "ann"), row(2, "eve", incarnation: 8)])
    watch(&board, "ann", "bob")
    _ = told(&board)
    load(&board)
    #expect(told(&board) == ["0/1 online"])
    board.link(7)
    board.name([1])
    board.snapshotEnded(7, at: at(0))
    board.tick(100)
    #expect(told(&board, at: 100) == [], "a gateway has not spoken")
    board.link(8)
    board.name([5], by: 8, user: "bob")
    #expect(told(&board, at: 100) == ["0/2 online"])
    board.snapshotEnded(8, at: at(100))
    watch(&board, "ida", from: 3)
    _ = told(&board)
    load(&board)
    board.tick(200)
    #expect(told(&board, at: 200) == ["0/3 offline"])
  }

  @Test func doesNotWaitForEverForGatewaysThatAreGone() {
    var board = started([row(1, "ann")])
    watch(&board, "bob")
    _ = told(&board)
    load(&board)
    #expect(told(&board) == [])
    board.tick(2000)
    #expect(told(&board, at: 2000) == ["0/1 offline"])
    var fresh = started([])
    watch(&fresh, "bob")
    _ = told(&fresh)
    load(&fresh)
    #expect(told(&fresh) == ["0/1 offline"], "without rows there is nobody to wait for")
  }

  @Test func statusesWithoutADeviceLiveOn() {
    func stored(_ id: String, until: Int64, isBound: Bool = false) -> StoredUser {
      var user = StoredUser(id: id, seenMilliseconds: 1)
      user.details.bare = BareStatus(status: .busy, platform: .web, order: 1, until: 0, isBound: isBound)
      user.bareUntilMilliseconds = wallAtZero + until
      return user
    }
    var board = started(
      [row(1, "ann")],
      bare: [
        stored("ann", until: -5, isBound: true), stored("bob", until: 60_000), stored("eve", until: -5),
        stored("ida", until: 60_000, isBound: true),
      ])
    func statuses(_ time: Int64) -> [PresenceStatus] {
      board.tick(time)
      _ = board.takeChanges(at: at(time))
      return ["ann", "bob", "eve", "ida"].map { board.status(of: $0) ?? .offline }
    }
    #expect(statuses(0) == [.busy, .busy, .offline, .offline])
    #expect(statuses(60_000) == [.offline, .offline, .offline, .offline], "nobody confirmed ann's device either")
    let rows = board.write(at: 60_000).users.map(\.row)
    #expect(rows.filter { $0.details.bare != nil }.isEmpty && Set(rows.map(\.id)) == ["ann", "bob", "eve", "ida"])
  }

  /// Random life: what a watcher was last told is always what is.
  @Test(arguments: 0..<20) func watchersConverge(seed: UInt64) {
    var random = TestRandom(seed: seed)
    var board = Board.linked()
    let users = (0..<8).map { "u\($0)" }
    /// What each handle was last told, by link.
    var known: [[UInt32: PresenceState]] = [[:], [:]]
    var watched: [[UInt32: String]] = [[:], [:]]
    var time: Int64 = 0
    var next: UInt64 = 1
    func take() {
      for change in board.takeChanges(at: at(time)) {
        for target in change.targets { known[Int(target.link)][target.handle] = change.state }
      }
    }
    for _ in 0..<3000 {
      time += Int64.random(in: 0...3000, using: &random)
      let user = users.randomElement(using: &random)!
      let session = UInt64.random(in: 0...next, using: &random)
      let link = Int.random(in: 0...1, using: &random)
      switch Int.random(in: 0..<12, using: &random) {
      case 0, 1:
        board.name([next], user: user, device: "d\(next % 3)", at: time)
        next += 1
      case 2, 3: board.close(session, clean: Bool.random(using: &random), at: time)
      case 4: board.hear(session, active: true, at: time)
      case 5:
        let index = board.obtain(user)
        board.loaded(index, StoredUser(id: user), at: at(time))
        _ = board.update(
          SetPresence(
            user: user, session: Bool.random(using: &random) ? session : 0,
            status: [.keep, .clear, .set(PresenceStatus.allCases.randomElement(using: &random)!)]
              .randomElement(using: &random)!,
            customStatus: .set("\(time)")), by: 7, at: at(time))
      case 6:
        let handle = UInt32(users.firstIndex(of: user)!)
        board.watch([.init(handle: handle, version: 0, user: user)], by: UInt16(link))
        watched[link][handle] = user
        known[link][handle] = nil
      case 7:
        let handle = UInt32(users.firstIndex(of: user)!)
        board.unwatch([handle], by: UInt16(link))
        watched[link][handle] = nil
      case 8:
        let batch = board.takeUnwritten(max: 50, at: at(time))
        if Bool.random(using: &random) { board.written(batch) } else { board.notWritten(batch) }
      case 9: for (index, id) in board.takeWanted() { board.loaded(index, StoredUser(id: id), at: at(time)) }
      default:
        board.tick(time)
        take()
      }
    }
    board.tick(time)
    take()
    for (index, id) in board.takeWanted() { board.loaded(index, StoredUser(id: id), at: at(time)) }
    take()
    for link in 0...1 {
      for (handle, user) in watched[link] {
        let index = board.user(user)
        let state = index.map { board.state(of: $0, at: at(time)) }
        let told = known[link][handle]
        #expect(told?.status == state?.status && told?.customStatus == state?.customStatus, "\(user)")
      }
    }
    let online = board.users.indices.filter { board.state(of: $0, at: at(time)).status != .offline }
    #expect(board.onlineCount == online.count)
  }
}
