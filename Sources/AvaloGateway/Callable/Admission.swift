import AvaloCore
import AvaloSystem
import Synchronization

/// Keeps more from being begun than can be finished: publishes in flight, over all loops, and publishes a second of one
/// API key. What is refused is refused before it costs anything.
public final class Admission: Sendable {
  private let inFlight = Atomic<Int>(0)
  private struct Bucket {
    var tokens: Double
    var filled: MonotonicInstant
  }
  private let buckets = Mutex<[String: Bucket]>([:])

  public init() {}

  /// For a metric.
  public var publishesInFlight: Int { inFlight.load(ordering: .relaxed) }

  /// Begins a publish; throws when there are `max` already. Every one that began ends with ``leave()``.
  func enter(max: Int) throws(CallError) {
    guard inFlight.wrappingAdd(1, ordering: .relaxed).newValue <= max else {
      leave()
      throw CallError(
        .unavailable, "too many publishes are waiting for the log: try again",
        retryAfterMilliseconds: GatewayLimits.overloadRetryMilliseconds)
    }
  }

  func leave() { inFlight.wrappingSubtract(1, ordering: .relaxed) }

  /// Takes one publish of a key from its rate; throws when there is none left. A second's worth may come at once.
  func take(_ key: APIKey, perSecond: Int, now: MonotonicInstant) throws(CallError) {
    let missing: Double = buckets.withLock { buckets in
      var bucket = buckets[key.id] ?? Bucket(tokens: Double(perSecond), filled: now)
      bucket.tokens = min(Double(perSecond), bucket.tokens + (now - bucket.filled).inSeconds * Double(perSecond))
      bucket.filled = now
      let missing = 1 - bucket.tokens
      if missing <= 0 { bucket.tokens -= 1 }
      buckets[key.id] = bucket
      return missing
    }
    guard missing > 0 else { return }
    throw CallError(
      .resourceExhausted, "the API key \"\(key.name)\" may publish \(perSecond) events a second",
      retryAfterMilliseconds: Int((missing / Double(perSecond) * 1000).rounded(.up)))
  }
}
