import AvaloCore

/// Keeps how far a device has processed a user's topics, over restarts of the application.
public protocol CursorStore: Sendable {
  /// What was saved last; nothing when there is nothing, or nothing that can be read.
  /// - `device`: ``ClientOptions/deviceID``, `nil` when there is none. What one device has processed says nothing of another.
  func load(user: String, device: String?) async throws -> [String: Position]
  /// Keeps these instead of what was kept. Saves come one after the other.
  func save(_ positions: [String: Position], user: String, device: String?) async throws
}
