import AvaloCore
import AvaloStore
import Foundation
import GRDB
import Testing

@testable import AvaloStoreSQLite

/// What only an engine with a file has to do: keep it through every kind of end, and refuse what it should not touch.
@Suite struct SQLiteEventLogTests {
  private let folder = Folder()

  private func open(
    _ durability: Durability = .os, boot: String = "boot", now: Int64 = LogBench.start, mergeRows: Int = 8
  ) throws -> SQLiteEventLog {
    try SQLiteEventLog(
      LogFile(path: folder.file, durability: durability, bootID: boot), nowMilliseconds: now,
      generator: SystemRandomNumberGenerator(), mergeRows: mergeRows, lockMilliseconds: 0)
  }

  private func append(_ log: SQLiteEventLog, _ count: Int = 1, to name: String = "user:a") throws {
    try log.begin()
    for _ in 0..<count {
      let found = try log.topic(named: name)
      let id = if let found { found.id } else { try log.createTopic(named: name) }
      let offset = (found?.head ?? 0) + 1
      try log.append(
        topic: id, offset: offset, expires: LogBench.start + 60_000, record: record(id: "\(offset)"),
        key: key(offset, offset: offset))
    }
    try log.commit()
  }

  @Test func keepsEverythingOverARestart() throws {
    var log: SQLiteEventLog? = try open()
    let identity = try #require(log?.identity)
    try append(log!, 20)
    for _ in 0..<7 { _ = try log!.maintain(rows: 2, before: LogBench.start) }
    try append(log!, 3)
    try log!.close()
    log = nil
    let again = try open()
    #expect(again.identity == identity)
    #expect(try again.topic(named: "user:a") == StoredTopic(id: 1, head: 23, floor: 0))
    for offset in 1...23 { #expect(try again.key(topic: 1, hash: UInt64(offset))?.offset == UInt64(offset)) }
  }

  /// The owner goes without a word in every stage of a merge; nothing is lost, nothing is there twice.
  @Test func keepsEverythingWhenAMergeIsCutOff() throws {
    for steps in 0..<20 {
      let folder = Folder()
      let file = LogFile(path: folder.file, durability: .os, bootID: "boot")
      func open() throws -> SQLiteEventLog {
        try SQLiteEventLog(
          file, nowMilliseconds: LogBench.start, generator: SystemRandomNumberGenerator(), mergeRows: 16,
          lockMilliseconds: 0)
      }
      var log: SQLiteEventLog? = try open()
      try append(log!, 10, to: "user:a")
      try append(log!, 10, to: "user:b")
      for _ in 0..<steps { _ = try log!.maintain(rows: 2, before: LogBench.start) }
      try append(log!, 3, to: "user:a")
      log = nil
      log = try open()
      while try log!.maintain(rows: 3, before: LogBench.start) {}
      try append(log!, 1, to: "user:a")
      #expect(try log!.topic(named: "user:a")?.head == 14)
      #expect(try log!.topic(named: "user:b")?.head == 10)
      let request = ReadRequest(
        topic: "user:a", epoch: log!.identity.epoch(of: "user:a"), after: 0, upTo: 14, bytesMax: 1 << 20,
        nowMilliseconds: LogBench.start)
      guard case .page(let page) = try log!.reader().read(request) else {
        Issue.record("another epoch")
        return
      }
      #expect(page.rows.map(\.offset) == Array(1...14), "after \(steps) steps")
      for offset in 1...14 { #expect(try log!.key(topic: 1, hash: UInt64(offset)) != nil) }
    }
  }

  // MARK: Generations

  @Test(arguments: [
    // durability, closed in good order, same boot, same generation
    (Durability.os, false, true, true), (.os, true, true, true), (.os, true, false, true), (.os, false, false, false),
    (.memory, false, false, false), (.disk, false, false, true), (.disk, false, true, true),
  ])
  func mintsAGenerationWhenCommitsMayHaveBeenLost(
    durability: Durability, closed: Bool, sameBoot: Bool, sameGeneration: Bool
  ) throws {
    var log: SQLiteEventLog? = try open(durability)
    let before = log!.identity
    try append(log!, 5)
    if closed { try log!.close() }
    log = nil
    let again = try open(durability, boot: sameBoot ? "boot" : "another")
    #expect((again.identity == before) == sameGeneration)
    #expect((again.identity.generation > before.generation) == !sameGeneration)
    #expect(try again.topic(named: "user:a")?.head == 5)
  }

  @Test func judgesByTheDurabilityOfTheTimeBefore() throws {
    var log: SQLiteEventLog? = try open(.os)
    let before = log!.identity
    log = nil
    #expect(try open(.disk, boot: "another").identity != before)
  }

  @Test func aCleanCloseCountsOnce() throws {
    var log: SQLiteEventLog? = try open()
    let before = log!.identity
    try log!.close()
    log = nil
    log = try open()
    log = nil  // this time without a word
    #expect(try open(boot: "another").identity != before)
  }

  /// A copy that is put in the place of its original never passes for it, whatever the durability and the boot.
  @Test(arguments: [Durability.os, .disk]) func aCopyBeginsAGenerationOfItsOwn(_ durability: Durability) throws {
    var log: SQLiteEventLog? = try open(durability)
    let identity = try #require(log?.identity)
    try append(log!, 20)
    let sequence = log!.lastSequence
    let copy = folder.file + ".copy"
    try LogFile(path: folder.file, durability: durability, bootID: "boot").snapshot(to: copy)
    try append(log!, 3)
    #expect(log!.identity == identity, "the original goes on")
    #expect(throws: LogError.self) {
      try LogFile(path: folder.file, durability: durability, bootID: "boot").snapshot(to: copy)
    }
    try log!.close()
    log = nil
    let restored = try SQLiteEventLog(
      LogFile(path: copy, durability: durability, bootID: "boot"), nowMilliseconds: LogBench.start)
    #expect(restored.identity.generation > identity.generation)
    #expect(restored.identity.epoch(of: "user:a") != identity.epoch(of: "user:a"))
    #expect(try restored.topic(named: "user:a") == StoredTopic(id: 1, head: 20, floor: 0))
    #expect(restored.lastSequence > sequence + 1_000_000, "what is told now is newer than what was told since")
  }

  @Test func remembersWhatTimeItWas() throws {
    var log: SQLiteEventLog? = try open()
    #expect(log?.clockMark == nil)
    try log!.begin()
    try log!.note(ClockMark(trusted: 1234, monotonic: 99))
    try log!.commit()
    log = nil
    log = try open()
    #expect(log?.clockMark == ClockMark(trusted: 1234, monotonic: 99))
    try log!.close()
    log = nil
    #expect(try open(boot: "another").clockMark == ClockMark(trusted: 1234, monotonic: 99, isThisBoot: false))
  }

  // MARK: Refusals

  @Test func oneOwnerAtATime() throws {
    let log = try open()
    #expect(throws: LogError.locked(path: folder.file)) { try self.open() }
    try append(log)
  }

  @Test func refusesADamagedFileAndLeavesItAsItIs() throws {
    var log: SQLiteEventLog? = try open()
    try append(log!, 50)
    try log!.close()
    log = nil
    var bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file))
    bytes.replaceSubrange(0..<bytes.count, with: Data(repeating: 0x5a, count: bytes.count))
    try bytes.write(to: URL(fileURLWithPath: folder.file))
    do {
      _ = try open()
      Issue.record("a damaged file was opened")
    } catch let error as LogError {
      guard case .corrupt(folder.file, _) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(error.description.contains(folder.file))
      #expect(error.description.contains("--repair"))
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file)) == bytes)
  }

  @Test func repairMovesTheFileAsideUnderANewGeneration() throws {
    var log: SQLiteEventLog? = try open()
    let before = log!.identity
    try append(log!, 5)
    log = nil
    try Data(repeating: 7, count: 10_000).write(to: URL(fileURLWithPath: folder.file))
    let file = LogFile(path: folder.file, durability: .os, bootID: "boot")
    guard case .movedAside(let aside, _) = try file.repair(nowMilliseconds: 42) else {
      Issue.record("a damaged file was left where it is")
      return
    }
    #expect(aside == folder.file + ".damaged-42")
    #expect(try Data(contentsOf: URL(fileURLWithPath: aside)).count == 10_000)
    let again = try open(now: LogBench.start + 5000)
    #expect(again.identity.generation > before.generation)
    #expect(try again.topic(named: "user:a") == nil)
    #expect(throws: LogError.locked(path: folder.file)) {
      // Not under a running owner.
      _ = try FileLock(beside: folder.file, waiting: 0)
    }
  }

  @Test func repairLeavesASoundFileAndSaysSo() throws {
    let file = LogFile(path: folder.file, durability: .os, bootID: "boot")
    #expect(try file.repair(nowMilliseconds: 42) == .nothing)
    var log: SQLiteEventLog? = try open()
    try append(log!, 5)
    #expect(throws: LogError.locked(path: folder.file)) { _ = try FileLock(beside: self.folder.file, waiting: 0) }
    log = nil  // with a write-ahead log that was not copied
    #expect(try file.repair(nowMilliseconds: 42) == .sound)
    #expect(try open().topic(named: "user:a")?.head == 5)
  }

  /// Damage that opening the file does not meet.
  @Test func repairLooksAtEveryPage() throws {
    var log: SQLiteEventLog? = try open(mergeRows: 1 << 20)
    for _ in 0..<50 { try append(log!, 20) }
    try log!.close()
    log = nil
    var bytes = try Data(contentsOf: URL(fileURLWithPath: folder.file))
    let page = 4096
    bytes.replaceSubrange((bytes.count - 3 * page)..<(bytes.count - page), with: Data(repeating: 0xff, count: 2 * page))
    try bytes.write(to: URL(fileURLWithPath: folder.file))
    let file = LogFile(path: folder.file, durability: .os, bootID: "boot")
    guard case .movedAside = try file.repair(nowMilliseconds: 42) else {
      Issue.record("a damaged file was left where it is")
      return
    }
    #expect(try file.repair(nowMilliseconds: 43) == .nothing)
  }

  @Test func repairTouchesNothingOfAnybodyElses() throws {
    let queue = try DatabaseQueue(path: folder.file)
    try queue.write { try $0.execute(sql: "CREATE TABLE recipes (name TEXT)") }
    try queue.close()
    let file = LogFile(path: folder.file, durability: .os, bootID: "boot")
    #expect(throws: LogError.foreign(path: folder.file)) { try file.repair(nowMilliseconds: 42) }
    #expect(FileManager.default.fileExists(atPath: folder.file))
  }

  @Test func refusesAFileOfALaterRelease() throws {
    var log: SQLiteEventLog? = try open()
    try log!.close()
    log = nil
    let queue = try DatabaseQueue(path: folder.file)
    var later = LogSchema.migrator
    later.registerMigration("of a later release") { try $0.execute(sql: "CREATE TABLE news (a)") }
    try later.migrate(queue)
    try queue.close()
    #expect(throws: LogError.newerSchema(path: folder.file)) { try self.open() }
  }

  @Test func bringsAFileOfTheFirstShapeUpToDate() throws {
    let queue = try DatabaseQueue(path: folder.file)
    try LogSchema.migrator.migrate(queue, upTo: "1")
    try queue.write { try $0.execute(sql: "INSERT INTO topics (name) VALUES ('chat:c')") }
    try queue.close()
    let log = try open()
    let chat = try #require(try log.topic(named: "chat:c")).id
    #expect(try log.accessPosition() == 0)
    try log.begin()
    try log.put(StoredMember(user: "ann", since: 1), topic: chat)
    try log.commit()
    #expect(try log.member("ann", of: chat) == 1)
  }

  @Test func refusesAFileOfSomethingElse() throws {
    let queue = try DatabaseQueue(path: folder.file)
    try queue.write { try $0.execute(sql: "CREATE TABLE recipes (name TEXT)") }
    try queue.close()
    #expect(throws: LogError.foreign(path: folder.file)) { try self.open() }
    let after = try DatabaseQueue(path: folder.file)
    #expect(try after.read { try $0.tableExists("recipes") })
    try after.close()
  }

  // MARK: Trouble

  /// A full disk, as SQLite itself reports it: the file may not grow any more.
  @Test func saysThatItIsFullAndRecovers() throws {
    let log = try open(mergeRows: 1 << 20)
    try append(log, 10)
    try log.connection.execute("PRAGMA max_page_count = 40")
    var failure: LogError?
    do {
      for _ in 0..<100 { try append(log, 20) }
    } catch let error as LogError {
      failure = error
      log.rollback()
    }
    guard case .full = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    let head = try #require(try log.topic(named: "user:a")?.head)
    try log.reopen()  // with room again: the bound was the connection's
    #expect(try log.topic(named: "user:a")?.head == head)
    try append(log, 20)
    #expect(try log.topic(named: "user:a")?.head == head + 20)
  }

  @Test func aNumberThatIsTakenIsPassedBy() throws {
    let log = try open()
    try append(log, 3)
    log.eventNumber = 0  // the next three ids of this expiry are taken
    try append(log, 3)
    #expect(try log.topic(named: "user:a")?.head == 6)
  }

  /// The write-ahead log begins anew under steady load instead of growing for ever.
  @Test func theWriteAheadLogIsRestartedUnderLoad() throws {
    let log = try open(mergeRows: 1 << 20)
    let big = record("{\"a\":\"" + String(repeating: "x", count: 60_000) + "\"}")
    try append(log, to: "feed:big")
    let before = try restarts()
    var offset: UInt64 = 1
    while try restarts() < before + 2, offset < 20_000 {
      offset += 1
      // Where the checkpointer gets too little of the processor, the load is what such a machine can bear.
      if offset > 2_000 { usleep(2_000) }
      try log.begin()
      try log.append(topic: 1, offset: offset, expires: LogBench.start + 60_000, record: big, key: nil)
      try log.commit()
      _ = try log.maintain(rows: 10, before: LogBench.start)
    }
    #expect(try restarts() >= before + 2, "after \(offset * 60_000 >> 20) MiB")
  }

  /// Whoever closed the log owns nothing of the file any more: the next owner may have it at once.
  @Test func lettingGoLeavesNothingOpen() throws {
    for round in 0..<200 {
      var log: SQLiteEventLog? = try open()
      try append(log!)
      if round.isMultiple(of: 2) { try log!.close() }
      log = nil
      let opened = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
      }
      #expect(opened.filter { $0.hasPrefix(folder.path) } == [], "after \(round) rounds")
    }
  }

  /// How often the write-ahead log has begun anew: the checkpoint sequence number in its head.
  /// Source: "Database File Format" §4.1, sqlite.org.
  private func restarts() throws -> UInt32 {
    let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.file + "-wal"))
    defer { try? handle.close() }
    try handle.seek(toOffset: 12)
    return (try handle.read(upToCount: 4) ?? Data()).reduce(0) { $0 << 8 | UInt32($1) }
  }

  @Test func aReaderOnAnotherThreadSeesEveryCommittedEventThroughMerges() throws {
    let log = try open(mergeRows: 64)
    try append(log, 1)
    let reader = Sending(try log.reader())
    let epoch = log.identity.epoch(of: "user:a")
    let committed = Committed()
    let thread = DispatchQueue(label: "reader")
    let done = DispatchGroup()
    let failures = Committed()
    thread.async(group: done) {
      var rounds = 0
      while committed.head < 3000 || rounds < 50 {
        rounds += 1
        let head = committed.head
        let request = ReadRequest(
          topic: "user:a", epoch: epoch, after: head > 200 ? head - 200 : 0, upTo: head, bytesMax: 1 << 20,
          nowMilliseconds: LogBench.start)
        guard case .page(let page)? = try? reader.value.read(request),
          page.rows.map(\.offset) == Array((request.after + 1)...max(head, request.after + 1)).filter({ $0 <= head }),
          page.through == head
        else {
          failures.head += 1
          continue
        }
      }
    }
    committed.head = 1
    for turn in 1..<300 {
      try append(log, 10)
      committed.head = UInt64(turn * 10 + 1)
      _ = try log.maintain(rows: 16, before: LogBench.start)
    }
    committed.head = 3001 - 10
    try append(log, 10)
    committed.head = 3001
    done.wait()
    #expect(failures.head == 0)
  }
}

/// A value handed to the one other thread that uses it.
private struct Sending<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

private final class Committed: @unchecked Sendable {
  private let lock = NSLock()
  private var value: UInt64 = 0
  var head: UInt64 {
    get { lock.withLock { value } }
    set { lock.withLock { value = newValue } }
  }
}
