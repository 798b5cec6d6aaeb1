import AvaloTesting
import Testing

@testable import AvaloReactor

/// A step of the decoder that can be kept and compared.
private enum Seen: Equatable {
  case text(String)
  case ping([UInt8])
  case pong
  case close(UInt16?)
  case failure(UInt16)
}

@Suite struct WebSocketDecoderTests {
  private let messageBytesMax = 70_000

  /// Feeds `bytes` in parts of the given sizes (the rest at once) until they are used up or the stream is over.
  private func decode(_ bytes: [UInt8], parts: [Int] = []) -> (seen: [Seen], isAtRest: Bool) {
    var decoder = WebSocketDecoder(messageBytesMax: messageBytesMax)
    var seen: [Seen] = []
    var rest = bytes[...]
    var sizes = parts[...]
    while !rest.isEmpty {
      var part = Array(rest.prefix(sizes.popFirst() ?? rest.count))
      rest = rest.dropFirst(part.count)
      let isOver = part.withUnsafeMutableBytes { memory in
        var input = memory
        while true {
          switch decoder.next(&input) {
          case .needMore: return false
          case .text(let payload): seen.append(.text(String(decoding: payload, as: UTF8.self)))
          case .ping(let payload): seen.append(.ping(Array(payload)))
          case .pong: seen.append(.pong)
          case .close(let code):
            seen.append(.close(code))
            return true
          case .failure(let code):
            seen.append(.failure(code))
            return true
          }
        }
      }
      if isOver { return (seen, false) }
    }
    return (seen, decoder.isAtRest)
  }

  private func seen(_ frames: ClientFrame...) -> [Seen] {
    decode(frames.flatMap(\.bytes)).seen
  }

  // MARK: Good streams

  /// RFC 6455 §5.7, a single-frame masked text message.
  @Test func readsTheExampleOfTheStandard() {
    let golden: [UInt8] = [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
    #expect(ClientFrame.text("Hello").bytes == golden)
    let result = decode(golden)
    #expect(result.seen == [.text("Hello")])
    #expect(result.isAtRest)
  }

  @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 127, 128, 65_535, 65_536, 70_000])
  func readsEveryFormOfLength(count: Int) {
    let text = String(repeating: "x", count: count)
    let bytes = ClientFrame.text(text).bytes
    #expect(decode(bytes).seen == [.text(text)])
    #expect(decode(bytes, parts: Array(repeating: 1, count: 20)).seen == [.text(text)])
  }

  @Test func joinsFragmentsAroundControlFrames() {
    #expect(
      seen(
        ClientFrame(.text, Array("one ".utf8), isFinal: false), ClientFrame(.ping, [1, 2]),
        ClientFrame(.continuation, Array("two ".utf8), isFinal: false), ClientFrame(.pong),
        ClientFrame(.continuation, [], isFinal: false), ClientFrame(.continuation, Array("three".utf8)), .text("next"))
        == [.ping([1, 2]), .pong, .text("one two three"), .text("next")])
  }

  @Test func joinsACharacterThatIsCutBetweenFragments() {
    let euro = Array("€".utf8)
    #expect(
      seen(
        ClientFrame(.text, [euro[0]], isFinal: false), ClientFrame(.continuation, [euro[1]], isFinal: false),
        ClientFrame(.continuation, [euro[2]])) == [.text("€")])
  }

  @Test func readsTenThousandEmptyFragmentsWithoutRecursion() {
    let empty = ClientFrame(.continuation, [], isFinal: false).bytes
    let bytes =
      ClientFrame(.text, [], isFinal: false).bytes + Array((0..<10_000).map { _ in empty }.joined())
      + ClientFrame(.continuation, Array("end".utf8)).bytes
    #expect(decode(bytes).seen == [.text("end")])
  }

  // MARK: Breaches

  @Test func refusesWhatAClientMustNotSend() {
    let unmasked = ClientFrame(.text, [0x61], mask: nil)
    #expect(seen(unmasked) == [.failure(1002)])
    for reserved: UInt8 in [0x40, 0x20, 0x10] {
      var frame = ClientFrame.text("x")
      frame.firstByte |= reserved
      #expect(seen(frame) == [.failure(1002)])
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8] {
      var frame = ClientFrame.text("x")
      frame.firstByte = 0x80 | opcode
      #expect(seen(frame) == [.failure(1002)])
    }
    #expect(seen(ClientFrame(.binary, [1])) == [.failure(1003)])
    #expect(seen(ClientFrame(.continuation, [1])) == [.failure(1002)])
    #expect(seen(ClientFrame(.text, [], isFinal: false), .text("x")) == [.failure(1002)])
    #expect(seen(ClientFrame(.text, [], isFinal: false), ClientFrame(.binary)) == [.failure(1002)])
    #expect(seen(.text("a"), ClientFrame(.continuation, [1])) == [.text("a"), .failure(1002)])
  }

  @Test(arguments: [ClientFrame.Opcode.ping, .pong, .close])
  func refusesLongAndFragmentedControlFrames(opcode: ClientFrame.Opcode) {
    let longest = [UInt8](repeating: 0x61, count: 125)
    #expect(seen(ClientFrame(opcode, longest + [0x61])) == [.failure(1002)])
    #expect(seen(ClientFrame(opcode, [], isFinal: false)) == [.failure(1002)])
    if opcode == .ping { #expect(seen(ClientFrame(.ping, longest)) == [.ping(longest)]) }
  }

  @Test func boundsAMessageWhateverItsFragments() {
    let half = [UInt8](repeating: 0x61, count: 40_000)
    #expect(seen(ClientFrame(.text, half + half)) == [.failure(1009)])
    #expect(seen(ClientFrame(.text, half, isFinal: false), ClientFrame(.continuation, half)) == [.failure(1009)])
    // Refused by its header, before a byte of it was taken in.
    #expect(decode([0x81, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0]).seen == [.failure(1009)])
    #expect(decode([0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]).seen == [.failure(1002)])
  }

  @Test func failsAtTheFirstByteThatIsNotUTF8() {
    #expect(seen(ClientFrame(.text, [0x61, 0xC0, 0xAF])) == [.failure(1007)])
    #expect(seen(ClientFrame(.text, [0x61, 0xE2, 0x82])) == [.failure(1007)])
    #expect(seen(ClientFrame(.text, [0xED, 0xA0], isFinal: false)) == [.failure(1007)])
    // In the middle of a frame whose rest has not come.
    let bytes = ClientFrame(.text, [0x61, 0xF5] + [UInt8](repeating: 0x61, count: 100)).bytes
    #expect(decode(Array(bytes.prefix(10))).seen == [.failure(1007)])
  }

  @Test func readsCloseFramesByTheBook() {
    #expect(seen(ClientFrame(.close)) == [.close(nil)])
    #expect(seen(.close(1000)) == [.close(1000)])
    #expect(seen(.close(4999, "bye €")) == [.close(4999)])
    #expect(seen(ClientFrame(.close, [3])) == [.failure(1002)])
    #expect(seen(ClientFrame(.close, [0x03, 0xE8, 0xC0])) == [.failure(1007)])
    for allowed: UInt16 in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000] {
      #expect(seen(.close(allowed)) == [.close(allowed)])
    }
    for refused: UInt16 in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
      #expect(seen(.close(refused)) == [.failure(1002)])
    }
  }

  // MARK: Fuzz

  /// A random stream that is right, and what it means.
  private func stream(_ random: inout TestRandom) -> (bytes: [UInt8], meaning: [Seen]) {
    var bytes: [UInt8] = []
    var meaning: [Seen] = []
    func control(_ random: inout TestRandom) {
      let payload = random.bytes(Int.random(in: 0...125, using: &random))
      let isPing = Bool.random(using: &random)
      bytes += ClientFrame(isPing ? .ping : .pong, payload, mask: random.bytes(4)).bytes
      meaning.append(isPing ? .ping(payload) : .pong)
    }
    for _ in 0..<Int.random(in: 1...5, using: &random) {
      if Int.random(in: 0..<3, using: &random) == 0 { control(&random) }
      let length = [0, 1, 20, 130, 700].randomElement(using: &random)!
      let text = String((0..<length).map { _ in "ab€😀é".randomElement(using: &random)! })
      var rest = Array(text.utf8)[...]
      var opcode = ClientFrame.Opcode.text
      while Int.random(in: 0..<3, using: &random) == 0 {
        let part = rest.prefix(Int.random(in: 0...rest.count, using: &random))
        rest = rest.dropFirst(part.count)
        bytes += ClientFrame(opcode, Array(part), isFinal: false, mask: random.bytes(4)).bytes
        opcode = .continuation
        if Bool.random(using: &random) { control(&random) }
      }
      bytes += ClientFrame(opcode, Array(rest), mask: random.bytes(4)).bytes
      meaning.append(.text(text))
    }
    return (bytes, meaning)
  }

  private func randomParts(of count: Int, _ random: inout TestRandom) -> [Int] {
    let largest = [1, 3, 17, 200].randomElement(using: &random)!
    return (0..<count).map { _ in Int.random(in: 1...largest, using: &random) }
  }

  @Test func meansTheSameHoweverTheStreamIsCut() {
    var random = TestRandom(seed: 42)
    for round in 0..<400 {
      let (bytes, meaning) = stream(&random)
      #expect(decode(bytes).seen == meaning, "round \(round), whole")
      let cut = decode(bytes, parts: randomParts(of: bytes.count, &random))
      #expect(cut.seen == meaning, "round \(round), cut")
      #expect(cut.isAtRest, "round \(round)")
    }
  }

  @Test func refusesTheSameHoweverABrokenStreamIsCut() {
    var random = TestRandom(seed: 43)
    var failures = 0
    for round in 0..<1_000 {
      var bytes = stream(&random).bytes
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        // Mostly near the front, where the headers are.
        let at = Int.random(in: 0..<min(bytes.count, Bool.random(using: &random) ? 12 : bytes.count), using: &random)
        bytes[at] = UInt8.random(in: 0...255, using: &random)
      }
      let whole = decode(bytes)
      let cut = decode(bytes, parts: randomParts(of: bytes.count, &random))
      // Text that is wrong and not all there is refused as soon as it shows: only there may the cut stream know earlier.
      #expect(cut.seen == whole.seen, "round \(round)")
      #expect(cut.isAtRest == whole.isAtRest, "round \(round)")
      if case .failure = whole.seen.last { failures += 1 }
    }
    #expect(failures > 300, "most mutations are breaches")
  }
}
