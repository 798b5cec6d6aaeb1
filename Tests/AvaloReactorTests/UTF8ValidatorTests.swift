import AvaloTesting
import Testing

@testable import AvaloReactor

@Suite struct UTF8ValidatorTests {
  private func isValid(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { UTF8Validator.isValid($0) }
  }

  private func judgesLikeTheStandardLibrary(_ bytes: [UInt8]) -> Bool {
    isValid(bytes) == (String(validating: bytes, as: UTF8.self) != nil)
  }

  @Test func agreesWithTheStandardLibraryOnAllShortSequences() {
    for first in UInt8.min...UInt8.max {
      #expect(judgesLikeTheStandardLibrary([first]))
      for second in UInt8.min...UInt8.max where !judgesLikeTheStandardLibrary([first, second]) {
        Issue.record("\([first, second])")
      }
    }
    let edges: [UInt8] = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xFF]
    for first in UInt8(0xDF)...0xF6 {
      for second in edges {
        for third in edges {
          for fourth in edges where !judgesLikeTheStandardLibrary([first, second, third, fourth]) {
            Issue.record("\([first, second, third, fourth])")
          }
        }
      }
    }
  }

  @Test func judgesTheSameHoweverTheBytesAreCut() {
    var random = TestRandom(seed: 11)
    let alphabet: [[UInt8]] = ["a", "é", "€", "😀", "0123456789"].map { Array($0.utf8) }
    for _ in 0..<5_000 {
      var bytes = (0..<Int.random(in: 0...12, using: &random)).flatMap { _ in alphabet.randomElement(using: &random)! }
      if Bool.random(using: &random), !bytes.isEmpty {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      var validator = UTF8Validator()
      var passed = true
      var rest = bytes[...]
      while passed, !rest.isEmpty {
        let part = rest.prefix(Int.random(in: 1...5, using: &random))
        rest = rest.dropFirst(part.count)
        passed = part.withUnsafeBytes { validator.consume($0) }
      }
      #expect((passed && validator.isComplete) == (String(validating: bytes, as: UTF8.self) != nil), "\(bytes)")
    }
  }

  @Test func failsAtTheFirstByteThatCannotBelong() {
    var surrogate = UTF8Validator()
    #expect([UInt8](arrayLiteral: 0xED).withUnsafeBytes { surrogate.consume($0) })
    #expect([UInt8](arrayLiteral: 0xA0).withUnsafeBytes { !surrogate.consume($0) })
  }
}
