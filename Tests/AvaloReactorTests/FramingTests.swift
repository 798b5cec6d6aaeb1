import Testing

@testable import AvaloReactor

@Suite struct FramingTests {
  private let stream = Framing.eventStream(before: "data: ", after: "\n\n") { code, reason in
    Array("end \(code) ".utf8) + reason
  }

  @Test(arguments: [0, 1, 125, 126, 65_535, 65_536])
  func takesTheRoomThatItSays(count: Int) {
    let text = String(repeating: "x", count: count)
    for framing in [Framing.webSocket, stream] {
      #expect(write(text, framing).count == count + framing.overheadBytes(count))
    }
  }

  @Test func putsATextOnOneLine() {
    #expect(String(decoding: write("{\n\"a\":\r\n1}", stream), as: UTF8.self) == "data: { \"a\":  1}\n\n")
  }

  @Test func keepsATextAsItIsInAFrame() {
    #expect(write("a\nb", .webSocket) == [0x81, 3] + Array("a\nb".utf8))
  }

  @Test func hasLastWordsAndHeartbeats() {
    let reason = Array("why".utf8)
    reason.withUnsafeBytes { reason in
      #expect(Framing.webSocket.closing(4000, reason: reason) == [0x88, 5, 0x0F, 0xA0] + Array("why".utf8))
      #expect(stream.closing(4000, reason: reason) == Array("end 4000 why".utf8))
    }
    Framing.webSocket.writeHeartbeat { #expect(Array($0) == [0x89, 0]) }
    stream.writeHeartbeat { #expect(Array($0) == Array(": ping\n\n".utf8)) }
  }

  @Test func cutsALongReason() {
    Array(String(repeating: "x", count: 200).utf8).withUnsafeBytes {
      let frame = Framing.webSocket.closing(4000, reason: $0)
      #expect(frame[1] == 125 && frame.count == 127)
    }
  }

  private func write(_ text: String, _ framing: Framing) -> [UInt8] {
    Array(text.utf8).withUnsafeBytes { text in
      withUnsafeTemporaryAllocation(byteCount: text.count + framing.overheadBytes(text.count) + 1, alignment: 1) {
        Array($0.prefix(framing.write(text, at: $0.baseAddress!)))
      }
    }
  }
}
