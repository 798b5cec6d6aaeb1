/// Names one unbroken run of offsets of one topic. It changes only when the topic's log was lost, restored or
/// repaired: the high half is the log's generation, the low half a value drawn when the topic was created.
public struct Epoch: Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(generation: UInt32, nonce: UInt32) { rawValue = UInt64(generation) << 32 | UInt64(nonce) }

  /// No epoch: what a reader that knows nothing presents.
  public static let none = Epoch(rawValue: 0)
  public var generation: UInt32 { UInt32(rawValue >> 32) }

  /// Sixteen lower-case hexadecimal digits, as on the wire.
  public var description: String {
    let digits = String(rawValue, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }

  /// Reads the sixteen digits a client got from us.
  public init?(_ text: String) {
    guard text.utf8.count == 16, let value = UInt64(text, radix: 16), !text.utf8.contains(UInt8(ascii: "+")) else {
      return nil
    }
    rawValue = value
  }
}

/// A place in a topic's log: everything up to and including `offset` of `epoch` has been seen.
/// Offsets count 1, 2, 3 …; 0 is before the first event.
public struct Position: Hashable, Sendable, CustomStringConvertible {
  public var epoch: Epoch
  public var offset: UInt64

  public init(epoch: Epoch, offset: UInt64) {
    self.epoch = epoch
    self.offset = offset
  }

  public static let none = Position(epoch: .none, offset: 0)
  public var description: String { "\(epoch)/\(offset)" }
}
