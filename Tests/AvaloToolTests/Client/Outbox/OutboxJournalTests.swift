import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct OutboxJournalTests {
  private func entry(_ name: String, user: String = "u", key: String? = nil) -> OutboxEntry {
    OutboxEntry(
      user: user, name: name, data: JSONText { $0.raw("{\"a\":\n1}") }, key: key, expiresAtMilliseconds: 9)
  }

  /// What adding these leaves in a file.
  private func file(_ entries: [OutboxEntry]) throws -> (file: [UInt8], journal: OutboxJournal) {
    var journal = OutboxJournal()
    var file: [UInt8] = []
    for entry in entries {
      let lines = journal.add(entry, max: 10)
      file += try #require(lines)
    }
    return (file, journal)
  }

  private func names(_ journal: OutboxJournal) -> [String] { journal.entries.all.map(\.name) }

  @Test func isReadAsItWasWritten() throws {
    var (file, journal) = try file([entry("a"), entry("b", key: "k"), entry("c"), entry("d", key: "k")])
    file += journal.remove(1)
    let again = OutboxJournal(file)
    #expect(again.entries.all == journal.entries.all)
    #expect(names(again) == ["c", "d"])
    #expect(again.entries.all.map(\.sequence) == [3, 4])
    #expect(again.wholeBytes == file.count)
  }

  /// A write that was torn at any byte loses what it was to add, and nothing else.
  @Test func everyTornWriteLeavesWhatWasThereBefore() throws {
    let (first, _) = try file([entry("a")])
    let (both, _) = try file([entry("a"), entry("b")])
    for end in first.count..<both.count {
      let torn = OutboxJournal(Array(both[..<end]))
      #expect(names(torn) == ["a"], "torn at \(end)")
      #expect(torn.wholeBytes == first.count, "what is torn is cut off by the next write")
    }
  }

  /// Also one that was to take the place of another.
  @Test func aTornReplacementLeavesWhatItWasToReplace() throws {
    let (first, _) = try file([entry("a", key: "k")])
    let (both, _) = try file([entry("a", key: "k"), entry("b", key: "k")])
    for end in first.count..<both.count {
      #expect(names(OutboxJournal(Array(both[..<end]))) == ["a"], "torn at \(end)")
    }
    #expect(names(OutboxJournal(both)) == ["b"])
  }

  @Test func aLineThatIsNotWholeCountsAsNotThere() throws {
    var (file, _) = try file([entry("a"), entry("b"), entry("c")])
    let second = try #require(file.firstIndex(of: UInt8(ascii: "\n"))) + 30
    file[second] ^= 1
    #expect(names(OutboxJournal(file)) == ["a", "c"])
    #expect(names(OutboxJournal(Array("not a journal\n\n".utf8))) == [])
  }

  @Test func goesOnCountingWhereItStopped() throws {
    let (file, _) = try file([entry("a"), entry("b")])
    var again = OutboxJournal(file)
    _ = again.add(entry("c"), max: 10)
    #expect(again.entries.all.map(\.sequence) == [1, 2, 3])
  }

  @Test func isWrittenAnewWhenItIsMostlyGarbage() throws {
    var journal = OutboxJournal()
    var file: [UInt8] = []
    while !journal.isMostlyGarbage {
      let lines = journal.add(entry("again", key: "k"), max: 10)
      file += try #require(lines)
    }
    let compacted = journal.compacted()
    #expect(compacted.count * 100 < file.count)
    #expect(OutboxJournal(compacted).entries.all == journal.entries.all)
    #expect(!journal.isMostlyGarbage)
  }

  @Test func eachUserHasRoomOfTheirOwn() throws {
    var journal = OutboxJournal()
    let one = journal.add(entry("a"), max: 1)
    let two = journal.add(entry("b"), max: 1)
    let other = journal.add(entry("c", user: "v"), max: 1)
    #expect(one != nil && two == nil && other != nil)
    #expect(journal.entries.first(of: "v")?.name == "c")
  }
}
