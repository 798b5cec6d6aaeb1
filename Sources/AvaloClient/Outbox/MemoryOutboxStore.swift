/// Entries that end with the program.
public actor MemoryOutboxStore: OutboxStore {
  private var entries = OutboxEntries()

  /// Empty.
  public init() {}

  public func add(_ entry: OutboxEntry, max: Int) -> Bool { entries.add(entry, max: max) != nil }
  public func first(of user: String) -> OutboxEntry? { entries.first(of: user) }
  public func all(of user: String) -> [OutboxEntry] { entries.all(of: user) }
  /// By its sequence.
  public func remove(_ entry: OutboxEntry) { entries.remove(entry.sequence) }
}
