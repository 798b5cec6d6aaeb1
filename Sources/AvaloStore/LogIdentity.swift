import AvaloCore

/// What makes a log this log: changes of it are how readers learn that offsets they remember mean nothing any more.
public struct LogIdentity: Sendable, Equatable {
  /// Minted on create, repair and restore, and when the log may have been rewound. Never the same twice for a file.
  public var generation: UInt32
  /// Drawn with the generation: the source of every topic's epoch.
  public var epochKey: SipHash.Key
  /// Drawn with the file: the source of every idempotency key's hash.
  public var idempotencyKey: SipHash.Key

  public init(generation: UInt32, epochKey: SipHash.Key, idempotencyKey: SipHash.Key) {
    self.generation = generation
    self.epochKey = epochKey
    self.idempotencyKey = idempotencyKey
  }

  /// The epoch of a topic, known before the topic has a row: watching an unknown topic costs nothing.
  public func epoch(of topic: String) -> Epoch {
    var hash = SipHash(key: epochKey)
    hash.combine(topic)
    let nonce = UInt32(truncatingIfNeeded: hash.finalize())
    return Epoch(generation: generation, nonce: nonce == 0 ? 1 : nonce)
  }

  /// The number under which a device's cursor is kept in a topic that has no row, because nothing was ever appended to
  /// it. Below 0, where no topic's is; the same in every generation.
  public func awaited(_ topic: String) -> TopicID {
    var hash = SipHash(key: idempotencyKey)
    hash.combine("awaited")
    hash.combine(topic)
    return -1 - TopicID(hash.finalize() >> 1)
  }

  /// The name under which an event is remembered within its topic. Never 0, which means "no key".
  public func hash(owner: String, eventID: UnsafeRawBufferPointer) -> UInt64 {
    var hash = SipHash(key: idempotencyKey)
    hash.combine(owner)
    hash.combine(eventID)
    return max(1, hash.finalize())
  }

  /// The name under which is remembered, in no topic, what became of an event that was held for later.
  public func hash(ofHeld hash: UInt64) -> UInt64 {
    var held = SipHash(key: idempotencyKey)
    held.combine("held")
    withUnsafeBytes(of: hash.littleEndian) { held.combine($0) }
    return max(1, held.finalize())
  }

  /// A later generation: the second it was minted in, so that a file that was lost and made anew does not repeat one.
  public func next(nowMilliseconds: Int64, using generator: inout some RandomNumberGenerator) -> LogIdentity {
    let second = UInt32(clamping: nowMilliseconds / 1000)
    return LogIdentity(
      generation: max(generation &+ 1, second, 1), epochKey: .random(using: &generator), idempotencyKey: idempotencyKey)
  }

  /// The identity of a new file.
  public static func first(nowMilliseconds: Int64, using generator: inout some RandomNumberGenerator) -> LogIdentity {
    let keys = (SipHash.Key.random(using: &generator), SipHash.Key.random(using: &generator))
    return LogIdentity(
      generation: max(1, UInt32(clamping: nowMilliseconds / 1000)), epochKey: keys.0, idempotencyKey: keys.1)
  }
}
