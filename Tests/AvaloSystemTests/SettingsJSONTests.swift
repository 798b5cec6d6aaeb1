import AvaloSystem
import Testing

@Suite struct SettingsJSONTests {
  private func parse(_ text: String) throws -> SettingsNode { try SettingsNode(json: Array(text.utf8)) }
  private func message(_ text: String) -> String? {
    do {
      _ = try parse(text)
      return nil
    } catch { return "\((error as? SettingsProblem)?.line ?? 0) \(error)" }
  }

  @Test func readsWhatRFC8259Allows() throws {
    let node = try parse(#" {"a":[1,-2,0,1.5,-1e3,2E+2,true,false,null],"b":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"} "#)
    #expect(
      node["a"]?.value
        == .list(
          [
            .integer(1), .integer(-2), .integer(0), .number(1.5), .number(-1000), .number(200), .boolean(true),
            .boolean(false), .null,
          ]
          .map { SettingsNode($0, line: 1) }))
    #expect(node["b"]?.value == .string("\"\\/\u{8}\u{c}\n\r\té😀é"))
    #expect(try parse("9223372036854775807").value == .integer(.max))
  }

  @Test(arguments: [
    "", "{", "[", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01", "1.", ".5", "+1", "1e", "-", "tru", "nul", "[1 2]",
    "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "1 2", "{} x",
    "9223372036854775808", "1e999", "{\"a\":1,\"a\":2}", "NaN", "\u{FEFF}{}",
  ])
  func refusesEverythingElse(_ text: String) { #expect(message(text) != nil) }

  @Test func refusesTextThatIsNotUTF8() {
    #expect(throws: SettingsProblem.self) { try SettingsNode(json: [0x22, 0xFF, 0x22]) }
  }

  @Test func namesTheLine() {
    #expect(message("{\n\"a\": 1,\n\"a\": 2}") == "3 not valid JSON: the key \"a\" comes twice")
    #expect(message("{\n\n  oops}") == "3 not valid JSON: a key in quotes was expected")
  }

  @Test func boundsTheDepth() throws {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    _ = try parse(nested(SystemLimits.settingsDepthMax))
    #expect(message(nested(SystemLimits.settingsDepthMax + 1)) != nil)
    #expect(message(String(repeating: "[", count: 100_000)) != nil)
  }

  @Test func writesWhatItReads() throws {
    let text = #"{"a":[1,-2,1.5,true,null],"b":"\"\\\u000aé\u0000","":{}}"#
    #expect(String(decoding: try parse(text).json(), as: UTF8.self) == text)
  }

  /// Random and mutated documents: an answer or a problem, never a trap; what is accepted is written and read the same.
  @Test func survivesAnyBytes() throws {
    var random = SeededRandom(seed: 0x5EED_0001)
    let seeds = [
      #"{"a":[1,-2,0.5e3,true,false,null,"x\u00e9\ud83d\ude00"],"b":{"c":{"d":[[],{}]}}}"#, "[1,2,3]", "\"\\\\\"",
    ].map { Array($0.utf8) }
    let alphabet = Array("{}[]\",:\\u0123456789eE+-.truefalsn \n\u{0}\u{7F}".utf8) + [0xC3, 0xFF, 0x80]
    for _ in 0..<20_000 {
      var bytes = seeds.randomElement(using: &random)!
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0 where index < bytes.count: bytes.remove(at: index)
        case 1 where index < bytes.count: bytes[index] = alphabet.randomElement(using: &random)!
        default: bytes.insert(alphabet.randomElement(using: &random)!, at: index)
        }
      }
      guard let node = try? SettingsNode(json: bytes) else { continue }
      let again = try SettingsNode(json: node.json())
      #expect(again.json() == node.json())
    }
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
