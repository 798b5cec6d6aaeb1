/// An HTTP answer to a publish, found where it lies.
struct PublishAnswer {
  var status: Int
  var bodyStart: Int
  var end: Int

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
      let length = contentLength(head)
    else { return .broken }
    guard bytes.count >= body + length else { return .incomplete }
    return .answer(PublishAnswer(status: Int(status), bodyStart: body, end: body + length))
  }

  /// Field names are case-insensitive (RFC 9110 §5.1).
  private static func contentLength(_ head: UnsafeRawBufferPointer) -> Int? {
    let name: StaticString = "\ncontent-length:"
    let size = name.utf8CodeUnitCount
    var at = 0
    while at + size < head.count {
      var place = 0
      while place < size, head[at + place] | (place > 0 ? 0x20 : 0) == name.utf8Start[place] | (place > 0 ? 0x20 : 0) {
        place += 1
      }
      if place == size {
        var digit = at + size
        while digit < head.count, head[digit] == UInt8(ascii: " ") { digit += 1 }
        return Glance.number(head, at: digit, digitsMax: 9).map(Int.init)
      }
      at += 1
    }
    return nil
  }
}
