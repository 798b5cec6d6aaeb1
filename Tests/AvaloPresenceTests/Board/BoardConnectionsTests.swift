import AvaloCore
import AvaloWire
import Testing

@testable import AvaloPresence

@Suite struct BoardConnectionsTests {
  private func board() -> Board {
    var board = Board.linked(Array(1...5))
    board.link(8)
    board.name([6, 7], by: 8, user: "bob", at: 1000)
    board.close(2, clean: true, at: 2000)
    return board
  }

  private func pages(_ board: Board, user: String, limit: UInt32) -> [[String]] {
    var pages: [[String]] = []
    var query = ConnectionsQuery(user: user, after: 0, limit: limit)
    repeat {
      let page = board.list(query, at: at(3000))
      #expect(page.entries.count == page.places.count)
      pages.append(page.entries.map(\.connectionID))
      query.after = page.next
    } while query.after != 0
    return pages
  }

  @Test func listsWhatIsNotOver() {
    let board = board()
    #expect(pages(board, user: "", limit: 10) == [["c1", "c3", "c4", "c5", "c6", "c7"]])
    #expect(pages(board, user: "", limit: 4) == [["c1", "c3", "c4", "c5"], ["c6", "c7"]])
    #expect(pages(board, user: "", limit: 3) == [["c1", "c3", "c4"], ["c5", "c6", "c7"]])
    #expect(pages(board, user: "ann", limit: 3) == [["c1", "c3", "c4"], ["c5"]])
    #expect(pages(board, user: "nobody", limit: 3) == [[]])
  }

  @Test func aConnectionsIDIsItsUsers() {
    var board = board()
    #expect(board.isAnothers("c1", than: "bob") && board.isAnothers("c6", than: "ann"))
    #expect(board.isAnothers("c1", than: "nobody ever seen"))
    #expect(!board.isAnothers("c1", than: "ann") && !board.isAnothers("c99", than: "ann"))
    // Whoever has one of that id as well may name it.
    board.name([1], by: 8, user: "bob", at: 3000)
    #expect(!board.isAnothers("c1", than: "ann") && !board.isAnothers("c1", than: "bob"))
    // It comes back before it is known to have been away.
    board.opened(
      [
        Sessions.Entry(
          session: 11, user: "ann", device: "another", platform: .web, connectionID: "c3",
          connectedMilliseconds: wallAtZero)
      ], by: 7, at: at(3000))
    board.close(3, clean: true, at: 3000)
    board.tick(30_000)
    #expect(board.isAnothers("c3", than: "bob") && !board.isAnothers("c3", than: "ann"))
  }

  @Test func aConnectionsIDIsFreeAfterItsLinger() {
    var board = board()
    // A page that reloads comes back to it.
    #expect(board.isAnothers("c2", than: "bob"))
    board.tick(12_000)
    #expect(!board.isAnothers("c2", than: "bob"))
  }

  /// Clients that are all called the same cost no search through all of them.
  @Test func anIDOfManyIsTheFirstOnes() {
    var board = Board.empty()
    board.link(7)
    for session in 1...50_000 as ClosedRange<UInt64> {
      board.opened(
        [
          Sessions.Entry(
            session: session, user: "u\(session)", device: "d", platform: .web, connectionID: "conn",
            connectedMilliseconds: wallAtZero)
        ], by: 7, at: at(0))
    }
    #expect(board.isAnothers("conn", than: "ann") && !board.isAnothers("conn", than: "u50000"))
    for session in 1...50_000 as ClosedRange<UInt64> { board.close(session, clean: true, at: 0) }
    board.tick(60_000)
    #expect(!board.isAnothers("conn", than: "ann"))
  }

  @Test func saysWhatThereIsToSay() {
    var board = board()
    board.hear(1, at: 2500)
    let page = board.list(ConnectionsQuery(user: "ann", after: 0, limit: 1), at: at(3000))
    #expect(
      page.entries == [
        .init(
          connectionID: "c1", user: "ann", device: "d1", platform: .ios, connectedMilliseconds: wallAtZero,
          seenMilliseconds: wallAtZero + 2500)
      ])
    #expect(page.places.first?.session == 1 && page.places.first?.link != nil)
  }

  /// Nobody can say any more that its connections are there, nor end them; users are shown as they were for a while.
  @Test func listsNothingOfAGatewayWhoseLinkHasEnded() {
    var board = board()
    board.unlink(8, at: 2000)
    #expect(pages(board, user: "", limit: 10) == [["c1", "c3", "c4", "c5"]])
    #expect(pages(board, user: "bob", limit: 10) == [[]])
    #expect(board.places(of: Disconnect(user: "bob", connectionID: "", mayReturn: false)).isEmpty)
    let online = board.isOnline("bob", at: 2000)
    #expect(online)
    // It lives, and names what it has.
    board.link(8, at: 2500)
    #expect(pages(board, user: "bob", limit: 10) == [["c6", "c7"]])
    board.name([7], by: 8, user: "bob", at: 2500)
    board.snapshotEnded(8, at: at(2500))
    #expect(pages(board, user: "bob", limit: 10) == [["c7"]])
  }

  /// After a start of ours the file's word counts until the gateways have linked, or had time to.
  @Test func listsWhatTheFileSaysUntilTheGatewaysHaveLinked() {
    var board = Board.linked([1, 2])
    let rows = board.write().connections.map(\.row)
    var next = Board.empty()
    next.load(rows, at: at(5000))
    #expect(pages(next, user: "", limit: 10) == [["c1", "c2"]])
    next.tick(5000 + PresenceLimits.settleMilliseconds)
    #expect(pages(next, user: "", limit: 10) == [[]])
    next.link(7, at: 8000)
    #expect(pages(next, user: "", limit: 10) == [["c1", "c2"]])
  }

  @Test func findsWhatIsToBeEnded() {
    let board = board()
    func places(_ connection: String) -> [UInt64] {
      board.places(of: Disconnect(user: "ann", connectionID: connection, mayReturn: false)).map(\.session).sorted()
    }
    #expect(places("") == [1, 3, 4, 5])
    #expect(places("c3") == [3])
    #expect(places("c2") == [] && places("c6") == [], "one is over, the other another's")
  }
}
