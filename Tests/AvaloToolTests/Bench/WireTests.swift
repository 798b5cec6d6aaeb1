import AvaloCore
import Testing

@testable import avalo_bench

@Suite struct WireTests {
  @Test func looksAtFramesOfEverySizeAndAtNothingElse() {
    for count in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
      var bytes: [UInt8] = [0x81]
      switch count {
      case ..<126: bytes.append(UInt8(count))
      case ...0xFFFF: bytes += [126, UInt8(count >> 8), UInt8(count & 255)]
      default: bytes += [127, 0, 0, 0, 0, 0, UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255)]
      }
      let head = bytes.count
      bytes += Array(repeating: 0x61, count: count)
      bytes.withUnsafeBytes { bytes in
        guard case .frame(let frame) = ServerFrame.look(bytes.baseAddress!, from: 0, to: bytes.count) else {
          return #expect(Bool(false), "\(count) bytes are a frame")
        }
        #expect(
          frame.opcode == 1 && frame.payloadStart == head && frame.payloadCount == count && frame.end == bytes.count)
        for cut in [0, 1, head - 1, bytes.count - 1] {
          guard case .incomplete = ServerFrame.look(bytes.baseAddress!, from: 0, to: cut) else {
            return #expect(Bool(false), "\(cut) of \(bytes.count) bytes are no frame")
          }
        }
      }
    }
    for broken: [UInt8] in [[0x01, 1], [0x81, 0x81], [0xC1, 0], [0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0]] {
      broken.withUnsafeBytes { bytes in
        guard case .broken = ServerFrame.look(bytes.baseAddress!, from: 0, to: bytes.count) else {
          return #expect(Bool(false), "\(broken) is no frame of a server's")
        }
      }
    }
  }

  @Test func masksAsTheStandardSays() {
    // RFC 6455 §5.7: "Hello" with the key 37 fa 21 3d.
    let frame = ClientFrame.make(Array("Hello".utf8), key: 0x37fa_213d)
    #expect(frame == [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58])
    #expect(ClientFrame.make(Array(repeating: 0, count: 200), key: 0)[1...3] == [0x80 | 126, 0, 200])
  }

  @Test func readsAnOffsetFromTheEndOfAnEventOnly() {
    func offset(_ text: String) -> UInt64? { Array(text.utf8).withUnsafeBytes { Glance.trailingOffset($0) } }
    #expect(offset(#"{"event":{"payload":{}},"topic":"user:u","offset":18}"#) == 18)
    #expect(offset(#"{"event":{"payload":{}},"topic":"user:u","offset":18446744073709551615}"#) == .max)
    #expect(offset(#"{"event":{},"offset":18,"ahead":true}"#) == nil)
    #expect(offset(#"{"event":{},"offset":18,"skipped":{"from":1,"to":17}}"#) == nil)
    #expect(offset(#"{"event":{},"x_offset":18}"#) == nil)
    #expect(offset(#"{"event":{},"offset":}"#) == nil)
    #expect(offset("") == nil && offset("18}") == nil)
  }

  @Test func tellsTheKindsOfFramesApart() {
    func kind(_ text: String) -> Glance.Kind { Array(text.utf8).withUnsafeBytes { Glance.kind($0) } }
    #expect(kind(#"{"event":{}}"#) == .event && kind(#"{"error":{}}"#) == .error)
    #expect(kind(#"{"gap":{}}"#) == .gap && kind(#"{"goaway":{}}"#) == .goaway)
    #expect(kind(#"{"ready":{}}"#) == .ready && kind(#"{"live":{}}"#) == .live)
    #expect(kind(#"{"pong":{}}"#) == .pong && kind(#"{"id":7,"result":1}"#) == .answer)
    #expect(kind("[1,2,3]") == .unknown && kind("{}") == .unknown)
  }

  @Test func aPublishIsWholeAndItsTimeIsFoundAgain() throws {
    let template = PublishTemplate(
      authority: "127.0.0.1:8480", apiKey: "avk_x", run: "r", destination: .inboxes(prefix: "u-"), payloadBytes: 128)
    let bytes = [UInt8](unsafeUninitializedCapacity: template.byteCount) { buffer, count in
      template.write(user: 42, number: 7, due: 1_234_567_890_123, to: buffer.baseAddress!)
      count = template.byteCount
    }
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
    #expect(parts[0].contains("Content-Length: \(parts[1].utf8.count)"))
    #expect(parts[0].contains("Authorization: Bearer avk_x"))
    try Array(parts[1].utf8).withUnsafeBytes { body in
      let data = try #require(try JSONView(validating: body)["data"])
      #expect(data["targetUserId"]?.string == "u-000042")
      #expect(data["eventId"]?.string == "r-0000000007")
      let payload = try #require(data["payload"])
      #expect(payload.raw.count == 128)
      var hint = 0
      for _ in 0..<2 { #expect(PublishTemplate.sentAt(body, hint: &hint) == 1_234_567_890_123) }
      // A hint from a frame of another shape is not believed.
      hint = 20
      #expect(PublishTemplate.sentAt(body, hint: &hint) == 1_234_567_890_123)
    }
    var hint = 500
    #expect(Array("{}".utf8).withUnsafeBytes { PublishTemplate.sentAt($0, hint: &hint) } == nil)
  }

  @Test func readsPipelinedAnswers() {
    let one = "HTTP/1.1 200 OK\r\nX: y\r\ncontent-length: 5\r\n\r\nhello"
    let two = "HTTP/1.1 503 Service Unavailable\r\nContent-Length:2\r\n\r\nno"
    Array((one + two).utf8).withUnsafeBytes { bytes in
      guard case .answer(let first) = PublishAnswer.look(bytes) else { return #expect(Bool(false)) }
      #expect(first.status == 200 && first.end == one.utf8.count)
      let rest = UnsafeRawBufferPointer(rebasing: bytes[first.end...])
      guard case .answer(let second) = PublishAnswer.look(rest) else { return #expect(Bool(false)) }
      #expect(second.status == 503 && second.end == two.utf8.count)
      guard case .incomplete = PublishAnswer.look(UnsafeRawBufferPointer(rebasing: bytes[..<(first.end - 1)])) else {
        return #expect(Bool(false))
      }
    }
    for broken in ["HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\nContent-Length: 1\r\n\r\n"] {
      Array(broken.utf8).withUnsafeBytes { bytes in
        guard case .broken = PublishAnswer.look(bytes) else { return #expect(Bool(false), "\(broken)") }
      }
    }
  }

  @Test func survivesRandomBytes() {
    var random = SplitMix64(seed: 3)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
        UInt8.random(in: .min ... .max, using: &random)
      }
      bytes.withUnsafeBytes { bytes in
        if let start = bytes.baseAddress { _ = ServerFrame.look(start, from: 0, to: bytes.count) }
        _ = PublishAnswer.look(bytes)
        _ = Glance.kind(bytes)
        _ = Glance.trailingOffset(bytes)
      }
    }
  }
}
