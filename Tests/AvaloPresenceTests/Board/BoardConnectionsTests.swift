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
    board.unlink(8, at: 2000)
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
    // A gateway that is away can say nothing of its connections, nor end them.
    #expect(
      board.list(ConnectionsQuery(user: "bob", after: 0, limit: 9), at: at(3000)).places.allSatisfy { $0.link == nil })
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
