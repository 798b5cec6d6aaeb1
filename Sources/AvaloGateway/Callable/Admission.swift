import AvaloCore
import AvaloSystem
import Synchronization

/// Keeps more from being begun than can be finished, or than one caller may begin: publishes in flight, publishes a second
/// of one API key, calls a second of one user. Over all loops. What is refused is refused before it costs anything.
public final class Admission: Sendable {
  private let inFlight = Atomic<Int>(0)
  private let readings = Atomic<Int>(0)
  /// By the key's id.
  private let publishes = Mutex(RateTable<String>())
  private let calls = Mutex(RateTable<Call>())

  private struct Call: Hashable {
    let user: String
    let function: ObjectIdentifier
  }

  public init() {}

  /// For a metric.
  public var publishesInFlight: Int { inFlight.load(ordering: .relaxed) }

  /// Begins a publish; throws when there are `max` already. Every one that began ends with ``leave()``.
  func enter(max: Int) throws(CallError) {
    guard inFlight.wrappingAdd(1, ordering: .relaxed).newValue <= max else {
      leave()
      throw .over(
        .publishesInFlight, max: max, "too many publishes are waiting for the log: try again",
        retryAfterMilliseconds: GatewayLimits.overloadRetryMilliseconds)
    }
  }

  func leave() { inFlight.wrappingSubtract(1, ordering: .relaxed) }

  /// Begins to read a large body beside a loop; throws when as many are being read as may be. Every one that began ends with
  /// ``endReading()``.
  func beginReading() throws(CallError) {
    guard readings.wrappingAdd(1, ordering: .relaxed).newValue <= GatewayLimits.bodiesReadMax else {
      endReading()
      throw .over(
        .publishesInFlight, max: GatewayLimits.bodiesReadMax, "too many large broadcasts are being read: try again",
        retryAfterMilliseconds: GatewayLimits.overloadRetryMilliseconds)
    }
  }

  func endReading() { readings.wrappingSubtract(1, ordering: .relaxed) }

  /// Takes one publish of a key from its rate; throws when there is none left.
  func take(_ key: APIKey, perSecond: Int, now: MonotonicInstant) throws(CallError) {
    guard let wait = publishes.withLock({ $0.take(key.id, perSecond: perSecond, now: now) }) else { return }
    throw .over(
      .publishesPerSecond, max: perSecond, "the API key \"\(key.name)\" may publish \(perSecond) events a second",
      retryAfterMilliseconds: Admission.milliseconds(wait))
  }

  /// Takes one call of a function from a user's rate; throws when there is none left.
  func take(
    _ callable: any Callable.Type, of user: String, perSecond: Int, now: MonotonicInstant
  ) throws(CallError) {
    let call = Call(user: user, function: ObjectIdentifier(callable))
    guard let wait = calls.withLock({ $0.take(call, perSecond: perSecond, now: now) }) else { return }
    throw .over(
      .callsPerSecond, max: perSecond, "a user may call \(callable.name) \(perSecond) times a second",
      retryAfterMilliseconds: Admission.milliseconds(wait))
  }

  /// Rounded up, so that there is one then.
  private static func milliseconds(_ wait: Duration) -> Int { Int((wait.nanoseconds + 999_999) / 1_000_000) }
}
