import Glibc

/// How what a loop's connections are told stands on the wire: one framing for all of a loop, so that many connections can
/// be given the same bytes.
public struct Framing: Sendable {
  enum Kind: Sendable {
    /// Text frames of RFC 6455.
    case webSocket
    /// What stands before and after the text that is one event's data.
    case eventStream(before: StaticString, after: StaticString)
  }

  let kind: Kind
  /// What keeps an idle line in use.
  private let heartbeat: [UInt8]
  /// The last words of a connection that ends with this code and reason.
  private let lastWords: @Sendable (UInt16, UnsafeRawBufferPointer) -> [UInt8]

  /// RFC 6455. The peer's frames are read.
  public static let webSocket = Framing(
    kind: .webSocket, heartbeat: [0x80 | WebSocketOpcode.ping.rawValue, 0],
    lastWords: { WebSocketFrame.close($0, reason: $1) })

  /// A stream of server-sent events (the HTML standard, §9.2). What the peer sends is thrown away.
  /// - `before`, `after`: around each text, line ends included.
  /// - `lastWords`: what is written before the stream's end, from its close code and reason.
  public static func eventStream(
    before: StaticString, after: StaticString,
    lastWords: @escaping @Sendable (UInt16, UnsafeRawBufferPointer) -> [UInt8]
  ) -> Framing {
    Framing(kind: .eventStream(before: before, after: after), heartbeat: Array(": ping\n\n".utf8), lastWords: lastWords)
  }

  /// Whether peers speak, and are asked for a sign of life.
  var isTwoWay: Bool {
    if case .webSocket = kind { true } else { false }
  }

  /// So many bytes stand around a text of `count` bytes.
  public func overheadBytes(_ count: Int) -> Int {
    switch kind {
    case .webSocket: WebSocketFrame.headerBytes(count)
    case .eventStream(let before, let after): before.utf8CodeUnitCount + after.utf8CodeUnitCount
    }
  }

  /// Writes one text at `start`, where there is room for it and ``overheadBytes(_:)``; returns how much it took.
  public func write(_ text: UnsafeRawBufferPointer, at start: UnsafeMutableRawPointer) -> Int {
    switch kind {
    case .webSocket:
      let head = WebSocketFrame.writeHeader(.text, text.count, at: start)
      if let source = text.baseAddress { memcpy(start + head, source, text.count) }
      return head + text.count
    case .eventStream(let before, let after):
      memcpy(start, before.utf8Start, before.utf8CodeUnitCount)
      let data = start + before.utf8CodeUnitCount
      if let source = text.baseAddress { memcpy(data, source, text.count) }
      Framing.joinLines(UnsafeMutableRawBufferPointer(start: data, count: text.count))
      memcpy(data + text.count, after.utf8Start, after.utf8CodeUnitCount)
      return before.utf8CodeUnitCount + text.count + after.utf8CodeUnitCount
    }
  }

  func writeHeartbeat(_ body: (UnsafeRawBufferPointer) -> Void) { heartbeat.withUnsafeBytes(body) }

  /// - `reason`: UTF-8.
  func closing(_ code: UInt16, reason: UnsafeRawBufferPointer) -> [UInt8] { lastWords(code, reason) }

  /// The end of a connection whose outbox has outgrown its bound.
  package var slowConsumer: [UInt8] {
    let reason: StaticString = "slow_consumer"
    return lastWords(
      CloseCode.slowConsumer, UnsafeRawBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount))
  }

  /// A line end would end the event's data. In JSON it can only be white space between tokens, and is as good a space.
  private static func joinLines(_ text: UnsafeMutableRawBufferPointer) {
    for index in text.indices where text[index] == UInt8(ascii: "\n") || text[index] == UInt8(ascii: "\r") {
      text[index] = UInt8(ascii: " ")
    }
  }
}
