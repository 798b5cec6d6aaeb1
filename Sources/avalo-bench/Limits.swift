/// The bounds of the load tool, each with its reason.
enum Limits {
  /// Sockets of one process: a hard descriptor limit of 20 000 is common, and the tool needs some for itself.
  static let clientsMax = 19_900
  /// Clients of one source address: 28 000 ephemeral ports are shared with connections that are still in TIME_WAIT.
  static let clientsPerAddressMax = 5_000
  /// Events handled between two looks at the clock and the publishers.
  static let eventsPerTurn = 1_024
  /// Bytes read from one socket at once: what a server may have gathered for it under load.
  static let readBytes = 256 << 10
  /// A frame beyond it is none of the server's: payloads are at most 64 KiB.
  static let framePayloadBytesMax = 160 << 10
  /// A handshake's answer.
  static let answerHeadBytesMax = 8 << 10
  /// Reasons for failing that are told apart; further ones are only counted.
  static let reasonsMax = 32
  /// Publishes refused or lost after which no publishing connection is made anew: the run is spoilt, say so.
  static let publishFailuresMax = 1_000
  /// Seconds that what was published may take to arrive after publishing stopped.
  static let drainSeconds = 20.0
  /// Seconds after which a client comes back that was cut without a word.
  static let returnSeconds = 1.0
  /// Seconds that an upgrade may take, with the drain of what it replaces.
  static let upgradeSeconds = 180.0
  /// Seconds for one client to become live.
  static let liveSeconds = 30.0
  /// Seconds between two `ping`s of a client; the server closes what is silent for 35.
  static let pingSeconds = 20.0
  /// Of load as it will be, before latencies are measured: the writers' longest interval.
  static let warmUpSeconds = 2.0
}
