import AvaloCore
import AvaloTesting
import Testing

@testable import AvaloClient

@Suite struct FileOutboxStoreTests {
  let folder = TestFolder()
  private var path: String { folder.path + "/outbox" }

  private func entry(_ name: String) -> OutboxEntry {
    OutboxEntry(user: "u", name: name, data: .emptyObject, expiresAtMilliseconds: 9)
  }

  /// Opens it when the one before has let it go: with its last task, a moment after its last answer.
  private func open(_ path: String? = nil) async throws -> FileOutboxStore {
    let path = path ?? self.path
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do {
        return try FileOutboxStore(path: path)
      } catch {
        guard ContinuousClock.now < deadline else { throw error }
        await Task.yield()
      }
    }
  }

  @Test func keepsEntriesOverARestart() async throws {
    do {
      let store = try await open()
      for name in ["a", "b", "c"] { #expect(try await store.add(entry(name), max: 10)) }
      let first = try #require(try await store.first(of: "u"))
      try await store.remove(first)
    }
    let again = try await open()
    #expect(try await again.all(of: "u").map(\.name) == ["b", "c"])
    #expect(try await again.first(of: "v") == nil)
  }

  @Test func cutsOffWhatATornWriteLeft() async throws {
    do {
      let store = try await open()
      _ = try await store.add(entry("a"), max: 10)
    }
    let whole = try #require(try DurableFile.read(path))
    try DurableFile.replace(path, with: whole + Array("0123456789abcdef {\"add\":{".utf8))
    do {
      let store = try await open()
      _ = try await store.add(entry("b"), max: 10)
    }
    let again = try await open()
    #expect(try await again.all(of: "u").map(\.name) == ["a", "b"])
    #expect(try DurableFile.read(path)?.starts(with: whole) == true)
  }

  @Test func isOfOneProgramAtATime() throws {
    let store = try FileOutboxStore(path: path)
    #expect(throws: ClientError.storage("\(path): another program uses it")) { try FileOutboxStore(path: path) }
    _ = store
  }

  @Test func saysWhatCannotBeKept() async throws {
    #expect(throws: ClientError.self) { try FileOutboxStore(path: "/nowhere/at/all") }
  }

  @Test func staysSmallWhileMuchPassesThrough() async throws {
    let store = try FileOutboxStore(path: path)
    _ = try await store.add(entry("stays"), max: 10)
    for round in 0..<200 {
      _ = try await store.add(entry("passes \(round)"), max: 10)
      let last = try #require(try await store.all(of: "u").last)
      try await store.remove(last)
    }
    let bytes = try #require(try DurableFile.read(path)).count
    #expect(bytes < 40_000, "\(bytes)")
    #expect(try await store.all(of: "u").map(\.name) == ["stays"])
  }

  @Test func whatIsKeptIsKeptAlsoWhereNoFileCanBeWrittenAnew() async throws {
    // There is no longer name for the smaller file.
    let path = folder.path + "/" + String(repeating: "x", count: 250)
    do {
      let store = try await open(path)
      for round in 0..<300 {
        #expect(try await store.add(entry("passes \(round)"), max: 10))
        try await store.remove(try #require(try await store.first(of: "u")))
      }
      #expect(try await store.add(entry("stays"), max: 10))
    }
    let bytes = try #require(try DurableFile.read(path)).count
    #expect(bytes > 30_000, "\(bytes)")
    let again = try await open(path)
    #expect(try await again.all(of: "u").map(\.name) == ["stays"])
  }

  // MARK: A full disk

  /// Larger than what anybody else writes meanwhile.
  private func large(_ key: String) -> OutboxEntry {
    let text = JSONText { $0.string(String(repeating: "x", count: 2 << 20)) }
    return OutboxEntry(user: "u", name: "large", data: text, key: key, expiresAtMilliseconds: .max)
  }

  @Test func whatIsSaidNotToBeKeptIsNotAndWhatItWasToReplaceIs() async throws {
    do {
      let store = try await open()
      #expect(try await store.add(large("k"), max: 10))
      let whole = try #require(try DurableFile.read(path))
      let second = OutboxEntry(user: "u", name: "second", data: .emptyObject, key: "k", expiresAtMilliseconds: .max)
      // Room for a line, and not for another one behind it.
      try await withFilesOfAtMost(whole.count + 60) {
        await #expect(throws: ClientError.self) { _ = try await store.add(second, max: 10) }
      }
      #expect(try await store.all(of: "u").map(\.name) == ["large"])
      #expect(try DurableFile.read(path) == whole)
    }
    let again = try await open()
    #expect(try await again.all(of: "u").map(\.name) == ["large"])
    #expect(try await again.first(of: "u")?.expiresAtMilliseconds == .max)
  }

  @Test func whatCannotBeTakenAwayIsStillThere() async throws {
    let store = try await open()
    #expect(try await store.add(large("k"), max: 10))
    let entry = try #require(try await store.first(of: "u"))
    let size = try #require(try DurableFile.read(path)).count
    try await withFilesOfAtMost(size) {
      await #expect(throws: ClientError.self) { try await store.remove(entry) }
    }
    #expect(try await store.first(of: "u") == entry)
    try await store.remove(entry)
    #expect(try await store.first(of: "u") == nil)
  }
}
