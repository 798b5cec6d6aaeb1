import AvaloSystem
import Testing

@testable import AvaloGateway

@Suite struct CircuitBreakerTests {
  private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

  @Test func opensAfterFailuresInARowAndLetsOneTry() {
    var breaker = CircuitBreaker()
    func asks(_ after: Duration) -> Bool { breaker.mayAsk(at: start + after) }
    for _ in 1..<GatewayLimits.webhookFailuresMax {
      breaker.failed(at: start)
      #expect(!breaker.isOpen)
    }
    // A success in between counts from the start again.
    breaker.succeeded()
    for _ in 1...GatewayLimits.webhookFailuresMax { breaker.failed(at: start) }
    #expect(breaker.isOpen)
    let early = asks(.seconds(9))
    let (first, second) = (asks(.seconds(10)), asks(.seconds(10)))
    #expect((early, first, second) == (false, true, false))
    breaker.failed(at: start + .seconds(11))
    let (stillOpen, again) = (asks(.seconds(20)), asks(.seconds(21)))
    #expect((stillOpen, again) == (false, true))
    breaker.succeeded()
    let (a, b) = (asks(.seconds(21)), asks(.seconds(21)))
    #expect(a && b && !breaker.isOpen)
  }
}
