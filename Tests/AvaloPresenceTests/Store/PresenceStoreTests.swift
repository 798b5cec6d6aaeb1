import AvaloCore
import AvaloTesting
import Foundation
import GRDB
import Testing

@testable import AvaloPresence

@Suite struct PresenceStoreTests {
  private let folder = TestFolder()
  private var path: String { "\(folder.path)/presence.sqlite" }

  private func row(_ session: UInt64, user: String = "ann", seen: Int64 = 2, lingers: Int64? = nil) -> StoredConnection
  {
    StoredConnection(
      key: SessionKey(incarnation: .max - 3, session: session), user: user, device: "d", connectionID: "c",
      platform: .android, connectedMilliseconds: 1, seenMilliseconds: seen, activeMilliseconds: 0,
      lingersMilliseconds: lingers)
  }

  private func write(_ store: PresenceStore, _ changes: RegistryChanges) async -> (any Error)? {
    await withCheckedContinuation { continuation in
      store.write(changes) { result in
        if case .failure(let error) = result {
          continuation.resume(returning: error)
        } else {
          continuation.resume(returning: nil)
        }
      }
    }
  }

  private func find(_ store: PresenceStore, _ users: [String]) async throws -> [StoredUser] {
    try await withCheckedThrowingContinuation { continuation in store.find(users) { continuation.resume(with: $0) } }
  }

  private func changes(_ rows: [StoredConnection], closed: [SessionKey] = [], users: [StoredUser] = [])
    -> RegistryChanges
  {
    var changes = RegistryChanges()
    changes.connections = rows.map { (0, $0) }
    changes.closed = closed
    changes.users = users.map { (0, $0) }
    return changes
  }

  @Test func keepsWhatItWasToldOverALife() async throws {
    let ann = StoredUser(id: "ann", seenMilliseconds: 5, activeMilliseconds: 4)
    do {
      let store = try PresenceStore(path: path)
      #expect(await write(store, changes([row(1), row(2), row(3)], users: [ann])) == nil)
      #expect(await write(store, changes([row(2, seen: 9, lingers: 77)], closed: [row(1).key])) == nil)
      store.finish()
    }
    let store = try PresenceStore(path: path)
    #expect(
      try store.load().connections.sorted { $0.key.session < $1.key.session } == [row(2, seen: 9, lingers: 77), row(3)])
    let never = StoredUser(id: "bob")
    #expect(try await find(store, ["bob", "ann", "bob"]) == [never, ann, never])
    store.finish()
  }

  @Test func findsManyAtOnceInTheirOrder() async throws {
    let store = try PresenceStore(path: path)
    let users = (0..<700).map { StoredUser(id: "u\($0)", seenMilliseconds: Int64($0) + 1) }
    #expect(await write(store, changes([], users: users)) == nil)
    let asked = (0..<700).reversed().flatMap { ["u\($0)", "nobody\($0)"] }
    let found = try await find(store, asked)
    #expect(found.map(\.id) == asked)
    #expect(found.allSatisfy { ($0.seenMilliseconds > 0) == $0.id.hasPrefix("u") })
    #expect(try await find(store, []).isEmpty)
    store.finish()
  }

  /// Whoever asks, and however much: what users change is written meanwhile, and what is late is not read.
  @Test func questionsKeepNoChangeWaiting() async throws {
    let store = try PresenceStore(path: path)
    let isHeld = DispatchSemaphore(value: 0)
    store.find(["ann"]) { _ in isHeld.wait() }
    #expect(await write(store, changes([row(1)], users: [StoredUser(id: "ann", seenMilliseconds: 5)])) == nil)
    #expect(try store.load().connections == [row(1)])
    async let late = withCheckedContinuation { continuation in
      store.find(["ann"], isLate: { true }) { continuation.resume(returning: $0) }
    }
    isHeld.signal()
    guard case .failure(let error) = await late else {
      Issue.record("it was read")
      return
    }
    #expect(error is PresenceStore.TooLate)
    #expect(try await find(store, ["ann"]) == [StoredUser(id: "ann", seenMilliseconds: 5)])
    store.finish()
  }

  /// A batch the file does not take leaves nothing behind, and the next one succeeds once the file can be written.
  @Test func refusesWholeBatchesAndRecovers() async throws {
    let store = try PresenceStore(path: path)
    #expect(await write(store, changes([row(1)])) == nil)
    var configuration = Configuration()
    configuration.allowsUnsafeTransactions = true
    let other = try DatabaseQueue(path: path, configuration: configuration)
    try await other.writeWithoutTransaction { db in try db.execute(sql: "BEGIN IMMEDIATE") }
    #expect(await write(store, changes([row(2)], closed: [row(1).key])) != nil)
    try await other.writeWithoutTransaction { db in try db.execute(sql: "COMMIT") }
    #expect(try store.load().connections == [row(1)])
    #expect(await write(store, changes([row(2)], closed: [row(1).key])) == nil)
    #expect(try store.load().connections == [row(2)])
    store.finish()
  }

  @Test func hasOneOwner() throws {
    let store = try PresenceStore(path: path)
    #expect(refusal()?.contains("\(path) belongs to another process") == true)
    store.finish()
  }

  @Test func refusesADamagedFileByNameAndLeavesItAlone() async throws {
    do {
      let store = try PresenceStore(path: path)
      #expect(await write(store, changes((1...2000).map { row($0, user: "user-number-\($0)") })) == nil)
      store.finish()
    }
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    var damaged = whole
    for page in 2..<(whole.count / 4096) {
      damaged.replaceSubrange((page * 4096)..<(page * 4096 + 64), with: Data(repeating: 0xEE, count: 64))
    }
    for bytes in [
      damaged, Data("this is not a database, and much longer than a header would be ".utf8) + Data(count: 4096),
    ] {
      try bytes.write(to: URL(fileURLWithPath: path))
      let reason = try #require(refusal())
      #expect(
        reason.contains("\(path) is damaged") && reason.contains("move \(path), \(path)-wal and \(path)-shm aside"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes, "it is evidence")
      let done = try PresenceStore.repair(path: path, nowMilliseconds: Int64(bytes.count))
      #expect(done.contains("\(path) was damaged") && done.contains("\(path).damaged-\(bytes.count) now"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: "\(path).damaged-\(bytes.count)")) == bytes)
      try PresenceStore(path: path).finish()
    }
  }

  @Test func repairsNothingThatIsSoundOrAnothers() throws {
    func repair() -> String {
      do { return try PresenceStore.repair(path: path, nowMilliseconds: 1) } catch { return "refused: \(error)" }
    }
    #expect(repair() == "there is no \(path): the next start begins an empty registry")
    let store = try PresenceStore(path: path)
    #expect(repair().hasPrefix("refused: \(path) belongs to another process"))
    store.finish()
    withExtendedLifetime(store) {}
  }

  @Test func leavesASoundFileWhereItIs() throws {
    try PresenceStore(path: path).finish()
    #expect(throws: PresenceStoreError.self) { try PresenceStore.repair(path: path, nowMilliseconds: 1) }
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test func refusesTheFileOfANewerRelease() throws {
    try PresenceStore(path: path).finish()
    let other = try DatabaseQueue(path: path)
    try other.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('999: what is to come')") }
    try other.close()
    #expect(refusal()?.contains("\(path) was written by a newer release") == true)
  }

  @Test func takesOverTheFirstReleasesFile() throws {
    let old = try DatabaseQueue(path: path)
    try PresenceSchema.migrator.migrate(old, upTo: "1")
    try old.write {
      try $0.execute(sql: "INSERT INTO connections VALUES (-4, 1, 'ann', 'd', 3, 'c', 1, 2)")
    }
    try old.close()
    let store = try PresenceStore(path: path)
    #expect(try store.load().connections == [row(1)])
    store.finish()
  }

  private func refusal() -> String? {
    do {
      let store = try PresenceStore(path: path)
      _ = try store.load()
      store.finish()
      return nil
    } catch {
      return "\(error)"
    }
  }
}
