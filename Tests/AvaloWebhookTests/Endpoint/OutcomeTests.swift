import Testing

@testable import AvaloWebhook

@Suite struct OutcomeTests {
  @Test(arguments: [200, 201, 202, 204, 299]) func anyTwoHundredIsTaken(status: Int) {
    #expect(Outcome(status: status, retryAfter: "9", nowSeconds: 0) == .taken)
  }

  @Test(arguments: [301, 400, 401, 404, 410, 500, 501]) func aVerdictIsOnTheEvent(status: Int) {
    #expect(Outcome(status: status, retryAfter: nil, nowSeconds: 0) == .refused(status: status, retryAfter: nil))
  }

  @Test(arguments: [429, 502, 503, 504]) func notNowIsAboutTheEndpoint(status: Int) {
    #expect(
      Outcome(status: status, retryAfter: "30", nowSeconds: 0)
        == .unavailable(reason: "HTTP \(status)", retryAfter: 30_000))
  }

  @Test(
    arguments: [
      ("0", 0), ("120", 120_000), ("99999999999999999999", (1 << 40) * 1000), ("+5", nil),
      ("Sun, 06 Nov 1994 08:50:37 GMT", 60_000),
      ("Mon, 07 Nov 1994 08:49:37 GMT", 86_400_000),
      ("Wed, 29 Feb 1996 00:00:00 GMT", 41_440_223_000),
      ("Sun, 06 Nov 1994 08:49:36 GMT", nil), ("-1", nil), ("soon", nil), ("", nil),
      ("Sun, 06 Foo 1994 08:50:37 GMT", nil),
      ("Sun, 06 Nov 1994 25:50:37 GMT", nil), ("Sun, 06 Nov 1994 08:50:37 CET", nil),
    ] as [(String, Int64?)]) func readsRetryAfter(text: String, milliseconds: Int64?)
  {
    // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    #expect(RetryAfter.milliseconds(text, nowSeconds: 784_111_777) == milliseconds)
  }
}
