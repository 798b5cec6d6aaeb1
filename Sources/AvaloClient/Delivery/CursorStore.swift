import AvaloCore

/// Keeps how far a user's topics are processed, over restarts of the application.
public protocol CursorStore: Sendable {
  /// What was saved last; nothing when there is nothing, or nothing that can be read.
  func load(user: String) async throws -> [String: Position]
  /// Keeps these instead of what was kept. Saves come one after the other.
  func save(_ positions: [String: Position], user: String) async throws
}
