import AvaloWire

/// How much may be asked about users: by one viewer in a second, and of the file by all at a time. What is over is refused
/// before it costs anything, so that nobody's questions keep others from being answered. A value.
struct QueryBudget {
  private var asked: [String: Int] = [:]
  private var second: Int64 = 0
  /// Users in questions that are with the file.
  private(set) var underWay = 0

  /// Counts a viewer's question about so many users; says why it is refused. A server's (no viewer) is not counted.
  /// - `now`: monotonic milliseconds.
  mutating func ask(_ viewer: String, _ users: Int, at now: Int64) -> Failed? {
    guard !viewer.isEmpty else { return nil }
    if now / 1000 != second {
      second = now / 1000
      asked.removeAll(keepingCapacity: asked.count < PresenceLimits.viewersMax / 2)
    }
    // Of a crowd each still has its own bound, or all but a few thousand share one.
    let name = asked[viewer] != nil || asked.count < PresenceLimits.viewersMax ? viewer : ""
    let count = asked[name, default: 0] + users
    let max = name.isEmpty ? PresenceLimits.usersOfViewerMax * 10 : PresenceLimits.usersOfViewerMax
    guard count <= max else {
      return Failed(
        .resourceExhausted,
        "more than \(PresenceLimits.usersOfViewerMax) users asked for in a second: subscribe to them",
        retryAfterMilliseconds: UInt32(1000 - now % 1000))
    }
    asked[name] = count
    return nil
  }

  /// Whether the file may be asked for so many more; counts them if so.
  mutating func begin(_ users: Int) -> Failed? {
    guard underWay + users <= PresenceLimits.usersAskedMax else {
      return Failed(
        .unavailable, "too many questions about users who are away wait: try again", retryAfterMilliseconds: 1000)
    }
    underWay += users
    return nil
  }

  mutating func end(_ users: Int) { underWay -= users }
}
