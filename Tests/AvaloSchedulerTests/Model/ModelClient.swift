import AvaloCore

/// A device that comes back whenever its connection is gone, and everything it ever saw.
final class ModelClient {
  let user: String
  let device: String
  let topics: [String]
  /// The offsets it was given on the present connection, by topic and epoch, in order.
  var onConnection: [Place: [UInt64]] = [:]
  /// Everything it was given since it exists.
  var seen: [String: Set<UInt64>] = [:]
  /// Where it began, the first time.
  var start: [String: UInt64] = [:]
  /// The highest offset it acknowledged.
  var acknowledged: [String: UInt64] = [:]

  struct Place: Hashable {
    var topic: String
    var epoch: Epoch
  }

  init(user: String, device: String, topics: [String]) {
    self.user = user
    self.device = device
    self.topics = topics
  }
}

/// A client's connection, as its gateway knows it.
final class ModelSession {
  let number: UInt64
  let client: ModelClient
  /// Up to where everything was written, or told as a hole; `nil` until the scheduler said where to begin.
  var cursors: [String: Position] = [:]
  /// What the client says it has, which wins over what the scheduler remembers.
  var presented: [String: Position]
  var isAttaching = false
  var reading: Set<String> = []

  init(number: UInt64, client: ModelClient, presented: [String: Position]) {
    self.number = number
    self.client = client
    self.presented = presented
    client.onConnection = [:]
  }
}
