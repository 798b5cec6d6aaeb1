/// Why bytes are not a JSON text.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Of the byte at which the text went wrong, from 0.
  public var offset: Int
  /// What was found there, or what was missing: a clause that fits behind "not JSON: ".
  public var message: String

  public init(offset: Int, message: String) {
    self.offset = offset
    self.message = message
  }

  public var description: String { "\(message), at byte \(offset)" }
}
