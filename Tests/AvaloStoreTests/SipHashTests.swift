import AvaloStore
import Testing

@Suite struct SipHashTests {
  /// From the reference implementation's table: key 00…0f, input 00 01 02 … of growing length.
  @Test func agreesWithTheReference() {
    let key = SipHash.Key(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)
    let expected: [Int: UInt64] = [
      0: 0x726f_db47_dd0e_0e31, 1: 0x74f8_39c5_93dc_67fd, 8: 0x93f5_f579_9a93_2462, 15: 0xa129_ca61_49be_45e5,
    ]
    for (length, value) in expected {
      var hash = SipHash(key: key)
      (0..<length).map { UInt8($0) }.withUnsafeBytes { hash.combine($0) }
      #expect(hash.finalize() == value, "input of \(length) bytes")
    }
  }

  @Test func doesNotDependOnHowTheInputIsCut() {
    let key = SipHash.Key(low: 1, high: 2)
    let input = (0..<64).map { UInt8($0) }
    var whole = SipHash(key: key)
    input.withUnsafeBytes { whole.combine($0) }
    let expected = whole.finalize()
    for cut in 0...64 {
      var hash = SipHash(key: key)
      input[..<cut].withUnsafeBytes { hash.combine($0) }
      input[cut...].withUnsafeBytes { hash.combine($0) }
      #expect(hash.finalize() == expected)
    }
  }

  @Test func textsInARowDoNotRunIntoEachOther() {
    func hash(_ texts: String...) -> UInt64 {
      var hash = SipHash(key: SipHash.Key(low: 1, high: 2))
      for text in texts { hash.combine(text) }
      return hash.finalize()
    }
    #expect(hash("ab", "c") != hash("a", "bc"))
  }
}
