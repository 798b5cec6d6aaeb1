import AvaloCore

/// Where a listener stands in all its topics, in one word: `user:ann=0000000142d1c0aa.17,chat:c`. A topic without a position
/// begins where its device stopped. Streams carry it as the id of their events, and get it back in `Last-Event-ID`
/// (delivery.md, rule 8); polls as their cursor.
enum PositionVector {
  /// Appends one topic's part.
  static func append(_ topic: Topic, _ position: Position?, to text: inout [UInt8]) {
    if let last = text.last, last != UInt8(ascii: " ") { text.append(UInt8(ascii: ",")) }
    text += topic.name.utf8
    guard let position else { return }
    text.append(UInt8(ascii: "="))
    text += position.epoch.description.utf8
    text.append(UInt8(ascii: "."))
    text += String(position.offset).utf8
  }

  /// What a client handed back; `nil` when that is none of ours.
  static func parse(_ text: some StringProtocol) -> (topics: [Topic], positions: [Topic: Position])? {
    var topics: [Topic] = []
    var positions: [Topic: Position] = [:]
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard topics.count < HubLimits.streamTopicsMax, let topic = Topic(String(sides[0])) else { return nil }
      topics.append(topic)
      if sides.count == 1 { continue }
      let numbers = sides[1].split(separator: ".", omittingEmptySubsequences: false)
      guard numbers.count == 2, let epoch = Epoch(String(numbers[0])), let offset = UInt64(numbers[1]) else {
        return nil
      }
      positions[topic] = Position(epoch: epoch, offset: offset)
    }
    return (topics, positions)
  }
}
