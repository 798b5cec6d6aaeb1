import NIOPosix
import Synchronization

/// Entries in a file: what was kept is there after a crash of the program, and after a loss of power. One program at a
/// time may use a file.
public final class FileOutboxStore: OutboxStore {
  private let content: Mutex<Content>

  private struct Content: ~Copyable {
    let file: DurableFile
    var journal: OutboxJournal
    /// How much of the file is whole; what a failed write left lies behind it.
    var length: Int

    /// Makes a change, and appends the line that says so; only what the file says is so. False when there is none.
    mutating func change(_ body: (inout OutboxJournal) -> [UInt8]?) throws(ClientError) -> Bool {
      let before = journal
      guard let line = body(&journal) else { return false }
      do {
        length = try file.append(line, at: length)
      } catch {
        journal = before
        throw error
      }
      guard journal.isMostlyGarbage else { return true }
      let whole = journal.compacted()
      // The line is kept, and the file is whole as it is: it becomes smaller after as many more.
      if (try? file.replace(with: whole)) != nil { length = whole.count }
      return true
    }
  }

  /// Opens the file, or makes it. Throws ``ClientError/storage(_:)`` when it cannot be read, or another program uses it.
  public init(path: String) throws(ClientError) {
    let file = try DurableFile(path: path)
    let journal = OutboxJournal(try file.read())
    content = Mutex(Content(file: file, journal: journal, length: journal.wholeBytes))
  }

  public func add(_ entry: OutboxEntry, max: Int) async throws -> Bool {
    try await perform { content in try content.change { $0.add(entry, max: max) } }
  }

  public func first(of user: String) async throws -> OutboxEntry? {
    content.withLock { $0.journal.entries.first(of: user) }
  }

  public func all(of user: String) async throws -> [OutboxEntry] {
    content.withLock { $0.journal.entries.all(of: user) }
  }

  /// Returns when the file says so.
  public func remove(_ entry: OutboxEntry) async throws {
    _ = try await perform { content in try content.change { $0.remove(entry.sequence) } }
  }

  /// On a thread that may block, and that holds nothing of the store when this returns: whoever lets go of it then has let go
  /// of its file.
  private func perform<Value: Sendable>(
    _ body: @escaping @Sendable (inout Content) throws -> Value
  ) async throws -> Value {
    defer { withExtendedLifetime(self) {} }
    return try await NIOThreadPool.singleton.runIfActive { [unowned self] in
      try content.withLock { try body(&$0) }
    }
  }
}
