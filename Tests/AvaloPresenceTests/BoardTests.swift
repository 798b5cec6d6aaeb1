import AvaloCore
import AvaloWire
import Testing

@testable import AvaloPresence

/// Who is online, by what gateways said and when.
@Suite struct BoardTests {
  @Test func staysOnlineForALingerAfterTheLastConnection() {
    var board = board(sessions: [1])
    board.closed([.init(session: 1, clean: true)], by: 7, at: 1000)
    #expect(board.entry(of: "ann")?.online == true)
    board.tick(at: 10_999)
    #expect(board.entry(of: "ann") != nil)
    board.tick(at: 11_000)
    #expect(board.entry(of: "ann") == nil)
  }

  @Test func lingersLongerAfterADropThanAfterAGoodbye() {
    var board = board(sessions: [1])
    board.closed([.init(session: 1, clean: false)], by: 7, at: 1000)
    board.tick(at: 20_999)
    #expect(board.entry(of: "ann") != nil)
    board.tick(at: 21_000)
    #expect(board.entry(of: "ann") == nil)
  }

  @Test func aCloseRemovesOnlyItsOwnRow() {
    var board = board(sessions: [1, 2])
    board.closed([.init(session: 1, clean: true)], by: 8, at: 1000)
    #expect(board.connections.count == 2)
    board.closed([.init(session: 1, clean: true)], by: 7, at: 1000)
    board.tick(at: 100_000)
    #expect(board.entry(of: "ann")?.online == true)
  }

  @Test func dropsWhatASnapshotDoesNotName() {
    var board = board(sessions: [1, 2])
    board.linkClosed(7, at: 1000)
    board.linkOpened(7)
    board.opened([entry(2)], by: 7, at: 2000)
    board.snapshotEnded(7, at: 2000)
    #expect(board.connections.keys.map(\.session) == [2])
  }

  @Test func believesRowsOfAnEarlierLifeOnlyForAWhile() {
    var first = board(sessions: [1])
    var board = Board(settings: PresenceSettings())
    board.load(first.connections.map { (key: $0.key, connection: $0.value) }, at: 5000)
    #expect(board.entry(of: "ann")?.online == true)
    #expect(board.takeChanges().isEmpty, "what the file said is not written again")
    board.tick(at: 39_999)
    #expect(board.connections.count == 1)
    board.tick(at: 40_000)
    #expect(board.connections.isEmpty)
    #expect(first.takeChanges().count == 1)
  }

  @Test func sweepsConnectionsNobodyHasHeardOf() {
    var board = board(sessions: [1, 2])
    board.seen([2], by: 7, at: 250_000)
    #expect(board.sweep(at: 301_000) == 1)
    #expect(board.connections.keys.map(\.session) == [2])
  }

  @Test func remembersWhenTheUserWasSeen() {
    var board = board(sessions: [1])
    _ = board.takeChanges()
    board.closed([.init(session: 1, clean: true)], by: 7, at: 9000)
    #expect(
      board.takeChanges() == [.closed(.init(incarnation: 7, session: 1)), .user("ann", seen: 9000, .ios)])
  }

  private func board(sessions: [UInt64]) -> Board {
    var board = Board(settings: PresenceSettings())
    board.linkOpened(7)
    board.opened(sessions.map(entry), by: 7, at: 0)
    board.snapshotEnded(7, at: 0)
    return board
  }

  private func entry(_ session: UInt64) -> Sessions.Entry {
    Sessions.Entry(
      session: session, user: "ann", device: "d\(session)", platform: .ios, connectionID: "c\(session)",
      connectedMilliseconds: 0)
  }
}
