/// Reads a stream of server-sent events (WHATWG HTML §9.2.6), however it is cut. Only data is of interest here: names,
/// ids and comments are passed over. A pure value: bytes in, the data of each event out.
struct EventStreamParser {
  /// What came of a line that has not ended.
  private var line: [UInt8] = []
  /// The data of the event that has not ended; `nil` before its first line.
  private var data: [UInt8]?
  /// A line feed that comes next belongs to the end of the line before.
  private var isBehindReturn = false
  private var isFirstLine = true
  private let lineBytesMax: Int
  private let eventBytesMax: Int

  private static let lineFeed = UInt8(ascii: "\n")
  private static let carriageReturn = UInt8(ascii: "\r")
  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  init(
    lineBytesMax: Int = ClientLimits.streamLineBytesMax, eventBytesMax: Int = ClientLimits.streamEventBytesMax
  ) {
    self.lineBytesMax = lineBytesMax
    self.eventBytesMax = eventBytesMax
  }

  /// The data of the events that end in these bytes. What has not ended when the stream does is no event.
  mutating func take(_ bytes: some Collection<UInt8>) throws(FrameError) -> [[UInt8]] {
    var events: [[UInt8]] = []
    var rest = bytes[...]
    while let first = rest.first {
      if isBehindReturn {
        isBehindReturn = false
        if first == EventStreamParser.lineFeed {
          rest = rest.dropFirst()
          continue
        }
      }
      let end = rest.firstIndex { $0 == EventStreamParser.lineFeed || $0 == EventStreamParser.carriageReturn }
      let part = rest[..<(end ?? rest.endIndex)]
      guard line.count + part.count <= lineBytesMax else {
        throw FrameError(description: "a line of a stream with more than \(lineBytesMax) bytes")
      }
      line += part
      guard let end else { break }
      isBehindReturn = rest[end] == EventStreamParser.carriageReturn
      rest = rest[rest.index(after: end)...]
      if let event = try endLine() { events.append(event) }
    }
    return events
  }

  /// Answers the data of the event that an empty line ends.
  private mutating func endLine() throws(FrameError) -> [UInt8]? {
    defer { line.removeAll(keepingCapacity: true) }
    var whole = line[...]
    if isFirstLine, whole.starts(with: EventStreamParser.byteOrderMark) { whole = whole.dropFirst(3) }
    isFirstLine = false
    if whole.isEmpty {
      defer { data = nil }
      return data
    }
    let colon = whole.firstIndex(of: UInt8(ascii: ":")) ?? whole.endIndex
    // A comment is a field without a name.
    guard whole[..<colon].elementsEqual("data".utf8) else { return nil }
    var value = whole[colon...].dropFirst()
    if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
    let known = data.map { $0.count + 1 } ?? 0
    guard known + value.count <= eventBytesMax else {
      throw FrameError(description: "an event of a stream with more than \(eventBytesMax) bytes")
    }
    if data == nil { data = Array(value) } else { data? += [EventStreamParser.lineFeed] + value }
    return nil
  }
}
