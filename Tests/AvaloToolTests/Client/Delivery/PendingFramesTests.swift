import AvaloCore
import Testing

@testable import AvaloClient

@Suite(.timeLimit(.minutes(1))) struct PendingFramesTests {
  private let link = FakeLink(
    TransportOpening(endpoint: .tcp(host: "127.0.0.1", port: 9), request: ConnectRequest(.token("t"))), { _ in })

  @Test func whatNobodyTakesHoldsTheSocketUntilFewAreLeft() async throws {
    let frames = PendingFrames()
    frames.attach(link)
    for _ in 0..<ClientLimits.framesHigh { frames.came() }
    #expect(try await link.reading.next() == false)
    // Read for another reason, it is held again.
    for _ in 0..<ClientLimits.framesHigh { frames.came() }
    #expect(try await link.reading.next() == false)
    var left = 2 * ClientLimits.framesHigh
    repeat { left -= 1 } while !frames.taken()
    #expect(left == ClientLimits.framesLow)
    let again = frames.taken()
    #expect(!again)
  }

  @Test func whatCameBeforeItsLinkCountsAsWell() async throws {
    let frames = PendingFrames()
    for _ in 0..<ClientLimits.framesHigh { frames.came() }
    frames.attach(link)
    #expect(try await link.reading.next() == false)
  }
}
