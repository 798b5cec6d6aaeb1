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

    mutating func append(_ lines: [UInt8]) throws(ClientError) {
      length = try file.append(lines, at: length)
      guard journal.isMostlyGarbage else { return }
      let whole = journal.compacted()
      // The lines are kept, and the file is whole as it is: it becomes smaller after as many more.
      guard (try? file.replace(with: whole)) != nil else { return }
      length = whole.count
    }
  }

  /// Opens the file, or makes it. Throws ``ClientError/storage(_:)`` when it cannot be read, or another program uses it.
  public init(path: String) throws(ClientError) {
    let file = try DurableFile(path: path)
    let journal = OutboxJournal(try file.read())
    content = Mutex(Content(file: file, journal: journal, length: journal.wholeBytes))
  }

  public func add(_ entry: OutboxEntry, max: Int) async throws -> Bool {
    try await perform { content in
      var journal = content.journal
      guard let lines = journal.add(entry, max: max) else { return false }
      // Only what is in the file is kept.
      let before = content.journal
      content.journal = journal
      do {
        try content.append(lines)
      } catch {
        content.journal = before
        throw error
      }
      return true
    }
  }

  public func first(of user: String) async throws -> OutboxEntry? {
    content.withLock { $0.journal.entries.first(of: user) }
  }

  public func all(of user: String) async throws -> [OutboxEntry] {
    content.withLock { $0.journal.entries.all(of: user) }
  }

  /// Returns when the file says so.
  public func remove(_ entry: OutboxEntry) async throws {
    try await perform { content in
      let lines = content.journal.remove(entry.sequence)
      try content.append(lines)
    }
  }

  /// On a thread that may block.
  private func perform<Value: Sendable>(
    _ body: @escaping @Sendable (inout Content) throws -> Value
  ) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive {
      try self.content.withLock { try body(&$0) }
    }
  }
}
