import AvaloWire
import NIOCore
import Testing

@testable import AvaloLink

@Suite struct FrameAccumulatorTests {
  private func frame(_ kind: UInt16, _ body: [UInt8], correlation: UInt32 = 0) -> [UInt8] {
    var writer = WireWriter()
    writer.frame(FrameKind(rawValue: kind), correlation: correlation) { for byte in body { $0.integer(byte) } }
    return writer.bytes
  }

  /// Every frame of the pieces, in order: kind, whether it came as the link's own, body.
  private func frames(of pieces: [FrameAccumulator.Piece]) -> [String] {
    pieces.flatMap { piece -> [String] in
      switch piece {
      case .own(let head, let body): return ["own \(head.kind.rawValue) \(Array(body.readableBytesView))"]
      case .run(let run):
        var rest = run
        var found: [String] = []
        while let head = rest.withUnsafeReadableBytes({ try? Frame.head(of: $0) }) {
          rest.moveReaderIndex(forwardBy: Frame.headBytes)
          found.append("\(head.kind.rawValue) \(Array(rest.readSlice(length: head.bodyBytes)!.readableBytesView))")
        }
        #expect(rest.readableBytes == 0)
        return found
      }
    }
  }

  private func feed(_ chunks: [[UInt8]]) throws -> [FrameAccumulator.Piece] {
    let accumulator = FrameAccumulator()
    var pieces: [FrameAccumulator.Piece] = []
    for chunk in chunks {
      try accumulator.receive(ByteBuffer(bytes: chunk)) {
        pieces.append($0)
        return true
      }
    }
    return pieces
  }

  @Test func oneReadIsOneRun() throws {
    let pieces = try feed([frame(0x101, [1]) + frame(0x102, []) + frame(0x103, [2, 3])])
    #expect(pieces.count == 1)
    #expect(frames(of: pieces) == ["257 [1]", "258 []", "259 [2, 3]"])
  }

  @Test func aRunIsASliceOfWhatWasRead() throws {
    let accumulator = FrameAccumulator()
    let read = ByteBuffer(bytes: frame(0x101, [1]) + frame(0x102, [2]) + frame(0x103, [3]).dropLast())
    let address = read.withUnsafeReadableBytes { $0.baseAddress }
    try accumulator.receive(read) { piece in
      guard case .run(let run) = piece else { return false }
      #expect(run.withUnsafeReadableBytes { $0.baseAddress } == address)
      return true
    }
  }

  @Test func theLinksOwnFramesAreTakenOut() throws {
    let bytes = frame(0x101, [1]) + frame(4, [], correlation: 9) + frame(3, [7]) + frame(5, [])
    #expect(frames(of: try feed([bytes])) == ["257 [1]", "own 4 []", "3 [7]", "own 5 []"])
  }

  @Test func anySplitGivesTheSameFrames() throws {
    var random = SeededRandom(seed: 0x5EED_0010)
    for _ in 0..<300 {
      var bytes: [UInt8] = []
      var expected: [String] = []
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let kind = [0x101, 0x10C, 4, 1].randomElement(using: &random)!
        let body = (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes += frame(UInt16(kind), body)
        expected.append("\(kind < 16 ? "own " : "")\(kind) \(body)")
      }
      var chunks: [[UInt8]] = []
      while !bytes.isEmpty {
        let count = Int.random(in: 1...min(bytes.count, 30), using: &random)
        chunks.append(Array(bytes.prefix(count)))
        bytes.removeFirst(count)
      }
      #expect(frames(of: try feed(chunks)) == expected)
    }
  }

  @Test func whatCameBeforeABrokenHeadIsGivenOut() throws {
    let accumulator = FrameAccumulator()
    var seen: [FrameAccumulator.Piece] = []
    let broken: [UInt8] = [0xFF, 0xFF, 0xFF, 0x7F, 1, 1, 0, 0, 0, 0, 0, 0]
    #expect(throws: WireError.frameTooLarge(0x7FFF_FFFF)) {
      try accumulator.receive(ByteBuffer(bytes: frame(0x101, [1]) + broken)) {
        seen.append($0)
        return true
      }
    }
    #expect(frames(of: seen) == ["257 [1]"])
    // The same head, split.
    let other = FrameAccumulator()
    try other.receive(ByteBuffer(bytes: broken.prefix(5))) { _ in true }
    #expect(throws: WireError.self) { try other.receive(ByteBuffer(bytes: broken.dropFirst(5))) { _ in true } }
  }

  @Test func aTakerThatHasEnoughGetsNoMore() throws {
    let accumulator = FrameAccumulator()
    var count = 0
    try accumulator.receive(ByteBuffer(bytes: frame(4, []) + frame(4, []) + frame(4, []))) { _ in
      count += 1
      return count < 2
    }
    #expect(count == 2)
  }

  @Test func survivesNoise() {
    var random = SeededRandom(seed: 0x5EED_0011)
    for _ in 0..<2000 {
      let accumulator = FrameAccumulator()
      let good = frame(0x101, [1, 2, 3]) + frame(4, []) + frame(0x10C, Array(repeating: 7, count: 50))
      for _ in 0..<4 {
        var chunk = Array(good.prefix(Int.random(in: 0...good.count, using: &random)))
        if !chunk.isEmpty, Bool.random(using: &random) {
          chunk[Int.random(in: 0..<chunk.count, using: &random)] = UInt8.random(in: 0...3, using: &random)
        }
        do {
          try accumulator.receive(ByteBuffer(bytes: chunk)) { _ in true }
        } catch { break }
      }
    }
  }
}

@Suite struct BackoffTests {
  @Test func doublesUpToItsBoundAndStartsOverAfterASuccess() {
    var backoff = Backoff(random: SeededRandom(seed: 1))
    var ceiling = LinkLimits.retryMin
    for _ in 0..<12 {
      let delay = backoff.next()
      #expect(delay >= .nanoseconds(ceiling.nanoseconds / 2) && delay <= ceiling)
      ceiling = min(.nanoseconds(ceiling.nanoseconds * 2), LinkLimits.retryMax)
    }
    #expect(ceiling == LinkLimits.retryMax)
    backoff.reset()
    #expect(backoff.next() <= LinkLimits.retryMin)
  }
}

/// SplitMix64: the same run every time.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
