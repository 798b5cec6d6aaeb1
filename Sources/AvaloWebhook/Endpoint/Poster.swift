import AvaloSystem
import AvaloWeb

/// Posts one event, signed, and says what became of it. Any thread.
struct Poster: Sendable {
  let web: WebClient
  let url: String
  let timeout: Duration
  let secrets: SigningSecrets
  let wall: WallClock

  func post(id: String, body: [UInt8]) async -> Outcome {
    let seconds = wall.milliseconds / 1000
    do {
      let answer = try await web.post(
        url, headers: Poster.headers(id: id, seconds: seconds, body: body, secrets), body: body, within: timeout,
        bytesMax: WebhookLimits.answerBytesMax, ignoresLongBody: true)
      return Outcome(status: answer.status, retryAfter: answer.retryAfter, nowSeconds: wall.milliseconds / 1000)
    } catch {
      return .unavailable(reason: "\(error)", retryAfter: nil)
    }
  }

  /// The id is the same for every attempt, the time is the attempt's own: a receiver refuses old ones, and what it has
  /// seen before.
  static func headers(id: String, seconds: Int64, body: [UInt8], _ secrets: SigningSecrets) -> [(String, String)] {
    [
      ("webhook-id", id), ("webhook-timestamp", "\(seconds)"),
      ("webhook-signature", secrets.signature(id: id, seconds: seconds, body: body)),
      ("User-Agent", "avalo-webhook/\(Version.current)"),
    ]
  }
}
