import AvaloCore
import AvaloTesting
import AvaloWire
import Testing

@testable import AvaloPresence

/// What the file is told, and that it is told everything in the end.
@Suite struct BoardWritingTests {
  private let first = SessionKey(incarnation: 7, session: 1)

  @Test func writesARowThatChangesOftenOnce() {
    var board = Board.linked([1])
    board.hear(1, at: 1000)
    board.hear(1, at: 2000)
    let changes = board.write(at: 2000)
    #expect(changes.count == 1)
    #expect(changes.connections.first?.row.seenMilliseconds == wallAtZero + 2000)
    #expect(board.unwritten.count == 0)
  }

  @Test func keepsAConnectionThatTheFileNeverHadToItself() {
    var board = Board.linked([1])
    board.close(1, clean: true, at: 0)
    board.tick(10_000)
    let changes = board.write()
    #expect(changes.connections.isEmpty && changes.closed.isEmpty)
    #expect(changes.users.map(\.row.id) == ["ann"])
  }

  /// The write that is under way may put the row into the file after all.
  @Test func removesARowThatWasBeingWrittenWhenItWent() {
    var board = Board.linked([1])
    let underWay = board.takeUnwritten(max: .max, at: at(0))
    board.close(1, clean: true, at: 0)
    board.tick(10_000)
    board.written(underWay)
    #expect(board.write().closed == [first])
  }

  @Test func doesNotTakeANewRowForTheOneBeforeIt() {
    var board = Board.linked([1])
    let underWay = board.takeUnwritten(max: .max, at: at(0))
    board.close(1, clean: true, at: 0)
    board.tick(10_000)
    board.name([2], at: 10_000)
    #expect(board.connections.end == 1, "session 2 lies where session 1 lay")
    board.written(underWay)
    board.close(2, clean: true, at: 10_000)
    board.tick(20_000)
    #expect(board.write().closed == [first], "session 2 was never in the file")
  }

  @Test func triesAgainWhatWasNotWritten() {
    var board = Board.linked([1, 2])
    _ = board.write()
    board.close(1, clean: true, at: 0)
    board.name([3], at: 0)
    board.tick(10_000)
    let refused = board.takeUnwritten(max: .max, at: at(10_000))
    #expect(board.unwritten.count == 0)
    board.name([4], at: 10_000)
    board.notWritten(refused)
    let again = board.write()
    #expect(again.closed == [first])
    #expect(again.connections.map(\.row.key.session).sorted() == [3, 4])
    #expect(board.unwritten.count == 0)
  }

  @Test func aBatchIsBounded() {
    var board = Board.linked(Array(1...50))
    let batch = board.takeUnwritten(max: 20, at: at(0))
    #expect(batch.count == 20 && board.unwritten.count == 30)
    board.written(batch)
    #expect(board.write().count == 30)
  }

  @Test func aUserStaysUntilTheFileHasThem() {
    var board = Board.linked([1])
    board.close(1, clean: true, at: 0)
    board.tick(10_000)
    _ = board.takeChanges(at: at(10_000))
    #expect(board.status() == .offline && board.lastSeen() == 0)
    let batch = board.takeUnwritten(max: .max, at: at(10_000))
    board.notWritten(batch)
    #expect(board.status() == .offline)
    _ = board.write()
    #expect(board.user("ann") == nil && board.users.count == 0)
  }

  /// Random life against a file that refuses half of what it is given: in the end it has what the board has.
  @Test(arguments: 0..<20) func theFileConverges(seed: UInt64) {
    var random = TestRandom(seed: seed)
    var board = Board.linked()
    var file = ModelFile()
    var underWay: RegistryChanges?
    var time: Int64 = 0
    var next: UInt64 = 1
    for _ in 0..<2000 {
      time += Int64.random(in: 0...4000, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0, 1:
        let user = "u\(Int.random(in: 0..<20, using: &random))"
        board.name([next], user: user, device: "d\(Int.random(in: 0..<2, using: &random))", at: time)
        next += 1
      case 2, 3: board.close(UInt64.random(in: 0...next, using: &random), clean: Bool.random(using: &random), at: time)
      case 4: board.hear(UInt64.random(in: 0...next, using: &random), active: Bool.random(using: &random), at: time)
      case 5: board.tick(time)
      default:
        _ = board.takeChanges(at: at(time))
        if let batch = underWay {
          if Bool.random(using: &random) {
            file.write(batch)
            board.written(batch)
          } else {
            board.notWritten(batch)
          }
          underWay = nil
        } else {
          underWay = board.takeUnwritten(max: Int.random(in: 1...30, using: &random), at: at(time))
        }
      }
    }
    if let underWay { board.notWritten(underWay) }
    board.tick(time)
    _ = board.takeChanges(at: at(time))
    file.write(board.write(at: time))
    #expect(file.connections.keys.map(\.session).sorted() == board.sessions())
    for index in board.connections.indices {
      let row = board.connections[index]
      let stored = file.connections[board.key(of: row)]
      #expect(stored?.user == board.texts[board.users[row.user].id])
      #expect((stored?.lingersMilliseconds != nil) == (row.state == .lingering))
    }
    #expect(board.users.count == board.onlineCount, "the others are in the file")
  }

  private struct ModelFile {
    var connections: [SessionKey: StoredConnection] = [:]
    mutating func write(_ changes: RegistryChanges) {
      for (_, row) in changes.connections { connections[row.key] = row }
      for key in changes.closed { connections[key] = nil }
    }
  }
}
