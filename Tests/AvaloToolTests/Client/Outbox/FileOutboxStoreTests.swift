import AvaloCore
import AvaloTesting
import Glibc
import Testing

@testable import AvaloClient

@Suite struct FileOutboxStoreTests {
  let folder = TestFolder()
  private var path: String { folder.path + "/outbox" }

  private func entry(_ name: String) -> OutboxEntry {
    OutboxEntry(user: "u", name: name, data: .emptyObject, expiresAtMilliseconds: 9)
  }

  /// Opens it when the one before has let it go: with its last task, a moment after its last answer.
  private func open() async throws -> FileOutboxStore {
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
    do {
      let store = try await open()
      // Where the smaller file would be made.
      #expect(mkdir(path + ".new", 0o700) == 0)
      for round in 0..<300 {
        #expect(try await store.add(entry("passes \(round)"), max: 10))
        try await store.remove(try #require(try await store.first(of: "u")))
      }
      #expect(try await store.add(entry("stays"), max: 10))
    }
    let again = try await open()
    #expect(try await again.all(of: "u").map(\.name) == ["stays"])
    rmdir(path + ".new")
  }
}
