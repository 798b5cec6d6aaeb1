/// The bounds of the webhook.
enum WebhookLimits {
  /// Events that are here at a time, done ones behind an undone one included: what a restart of the webhook, which keeps
  /// no file, posts twice at most, and how many others go past one topic that is being retried.
  static let eventsMax = 4096
  /// Bytes of their records. A page is asked for below it, so that it is passed by one page at most.
  static let eventBytesMax = 16 << 20
  /// One page of the log.
  static let pageBytes: UInt32 = 256 << 10
  /// Inboxes that are erased while one page is on its way; with more the page is read again.
  static let erasuresMax = 1024
  /// Posts under way at a time; more than any backend wants from one client.
  static let concurrencyMax = 256
  /// How often is looked at what became due, and told what is done: the precision of all delays, and what a kill of
  /// this process posts twice.
  static let tickMilliseconds: Int64 = 100
  /// Kept from the drain's time, to cut what is still under way and close its connections.
  static let goodbyeTime: Duration = .milliseconds(250)
  /// An answer's body is not looked at; up to here it is read, so that its connection can be used again.
  static let answerBytesMax = 64 << 10
  /// An endpoint that says Retry-After is not left alone for longer than this.
  static let retryAfterMilliseconds: Int64 = 3_600_000
  /// A dead letter that the log did not take is tried again this often; so is a read that failed.
  static let linkRetryMilliseconds: Int64 = 1000
  /// Presence that has not answered by then is taken to know nothing.
  static let presenceMilliseconds: Int64 = 2000
  /// The file of secrets: a few lines of 90 characters.
  static let secretFileBytesMax = 4 << 10
  /// Bytes of a secret (Standard Webhooks: 24 to 64).
  static let secretBytes = 24...64
  /// Secrets that are signed with: the new one and the old one, and some to spare.
  static let secretsMax = 4
  /// A dead letter carries the payload that fits beside what is said of it in 64 KiB.
  static let deadPayloadBytesMax = 62 << 10
  /// A dead letter lives for as long: a week for somebody to look.
  static let deadLetterSeconds: UInt32 = 7 * 24 * 3600
}
