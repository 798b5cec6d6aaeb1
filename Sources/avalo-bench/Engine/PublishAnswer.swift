/// An HTTP answer to a publish, found where it lies.
struct PublishAnswer {
  var status: Int
  var bodyStart: Int
  var end: Int
  /// Whether it is the connection's last.
  var closes = false

  enum Look {
    case answer(PublishAnswer)
    case incomplete
    /// No HTTP/1.1 answer with a Content-Length.
    case broken
  }

  static func look(_ bytes: UnsafeRawBufferPointer) -> Look {
    guard let body = Glance.find("\r\n\r\n", in: bytes) else {
      return bytes.count > Limits.answerHeadBytesMax ? .broken : .incomplete
    }
    let head = UnsafeRawBufferPointer(rebasing: bytes[..<body])
    guard head.starts(with: "HTTP/1.1 ".utf8), let status = Glance.number(head, at: 9, digitsMax: 3),
      let length = field("\ncontent-length:", of: head).flatMap({ Glance.number(head, at: $0, digitsMax: 9) })
    else { return .broken }
    guard bytes.count >= body + Int(length) else { return .incomplete }
    let closes = field("\nconnection:", of: head).map { head[$0...].starts(with: "close".utf8) } ?? false
    return .answer(PublishAnswer(status: Int(status), bodyStart: body, end: body + Int(length), closes: closes))
  }

  /// Where a field's value begins. Names are case-insensitive (RFC 9110 §5.1); `name` is in lower case, with the line end
  /// before and the colon behind.
  private static func field(_ name: StaticString, of head: UnsafeRawBufferPointer) -> Int? {
    let size = name.utf8CodeUnitCount
    var at = 0
    while at + size < head.count {
      var place = 0
      while place < size, head[at + place] | (place > 0 ? 0x20 : 0) == name.utf8Start[place] | (place > 0 ? 0x20 : 0) {
        place += 1
      }
      if place == size {
        var value = at + size
        while value < head.count, head[value] == UInt8(ascii: " ") { value += 1 }
        return value
      }
      at += 1
    }
    return nil
  }
}
