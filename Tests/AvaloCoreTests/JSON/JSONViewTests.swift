import AvaloCore
import Testing

@Suite struct JSONViewTests {
  @Test func takesAndRefusesWhatPythonDoes() {
    for line in JSONGolden.accepted { #expect(refusal(of: JSONGolden.bytes(line)) == nil, "\(line)") }
    for line in JSONGolden.refused { #expect(refusal(of: JSONGolden.bytes(line)) != nil, "\(line)") }
  }

  @Test(arguments: [
    ("", 0, "the text is empty"),
    ("  ", 2, "the text ends where a value should be"),
    ("{\"a\":1,\"b\":}", 11, "'}' where a value should be"),
    ("{\"a\" 1}", 5, "'1' where a colon should be"),
    ("{\"a\":1", 6, "the text ends inside an object"),
    ("[1;2]", 2, "';' where a comma or the end of the array should be"),
    ("{a:1}", 1, "'a' where a key should be"),
    ("[1] x", 4, "something follows the value"),
    ("[\"abc]", 1, "a string has no end"),
    ("[\"a\u{1}\"]", 3, "a control character inside a string is not escaped"),
    ("\u{FEFF}{}", 0, "byte 0xef where a value should be"),
    ("[01]", 2, "a number begins with 0"),
    ("\"\\ud83d\"", 1, "the first half of a surrogate pair without its second"),
    ("\"\\ud83d\\u0041\"", 1, "the first half of a surrogate pair without its second"),
    ("\"\\ude00\"", 1, "the second half of a surrogate pair without its first"),
  ]) func saysWhereAndWhatIsWrong(text: String, offset: Int, message: String) {
    #expect(refusal(of: Array(text.utf8)) == JSONError(offset: offset, message: message))
  }

  @Test func nestsAsDeepAsTheLimitAndNoDeeper() {
    func nested(_ depth: Int) -> [UInt8] {
      Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
    }
    #expect(refusal(of: nested(Limits.jsonDepthMax)) == nil)
    #expect(
      refusal(of: nested(Limits.jsonDepthMax + 1)) == JSONError(offset: 32, message: "nested deeper than 32"))
    #expect(refusal(of: Array(String(repeating: "{\"a\":[", count: 100_000).utf8)) != nil)
  }

  @Test(arguments: [
    (#"{"a":1,"a":2}"#, 7),
    (#"{"x":{"a":1,"b":0,"a":2}}"#, 18),
    (#"[{"a":1},{"a":1},{"a":2,"a":3}]"#, 24),
    (#"{"a":1,"\u0061":2}"#, 7),
    (#"{"\u0061":1,"a":2}"#, 12),
  ]) func refusesAKeyNamedTwiceInTheOuterTwoLevels(text: String, offset: Int) {
    #expect(refusal(of: Array(text.utf8)) == JSONError(offset: offset, message: "a key is there twice"))
  }

  @Test(arguments: [
    #"{"x":{"y":{"a":1,"a":2}}}"#, #"{"a":{"a":{"a":1}},"b":{"a":2}}"#, #"[{"a":1},{"a":2}]"#,
  ]) func takesKeysThatAreNotInTheSameOuterObject(text: String) {
    #expect(refusal(of: Array(text.utf8)) == nil)
  }

  @Test func findsADoubleKeyAmongVeryMany() {
    let keys = (0..<5000).map { "\"key\($0)\":\($0)" }
    #expect(refusal(of: Array("{\(keys.joined(separator: ","))}".utf8)) == nil)
    for double in [0, 31, 32, 33, 4999] {
      let text = "{\(keys.joined(separator: ",")),\"key\(double)\":0}"
      #expect(refusal(of: Array(text.utf8))?.message == "a key is there twice")
    }
    // A second wide object starts from nothing.
    let twice = "[{\(keys.joined(separator: ","))},{\(keys.joined(separator: ","))}]"
    #expect(refusal(of: Array(twice.utf8)) == nil)
  }

  @Test func readsMembersInOrderAndByName() throws {
    try read(#" {"a" : 1 ,"b":"}\"{", "c":[1,[2,"]"],{}], "\u0064":null,"e":{"a":2}} "#) { view in
      #expect(view.kind == .object && view.count == 5)
      #expect(view["a"]?.integer == 1)
      #expect(view["b"]?.string == "}\"{")
      #expect(view["c"]?.count == 3 && view["c"]?.kind == .array)
      #expect(view["d"]?.isNull == true)
      #expect(view["e"]?["a"]?.integer == 2)
      #expect(view["f"] == nil && view["a"]?["a"] == nil && view["c"]?["a"] == nil)
      var keys: [String] = []
      view.forEachMember { key, _ in keys.append(key.string ?? "") }
      #expect(keys == ["a", "b", "c", "d", "e"])
      var elements: [String] = []
      view["c"]?.forEachElement { elements.append(String(decoding: $0.raw, as: UTF8.self)) }
      #expect(elements == ["1", #"[2,"]"]"#, "{}"])
      view.forEachElement { _ in Issue.record("an object has no elements") }
      view["c"]?.forEachMember { _, _ in Issue.record("an array has no members") }
    }
  }

  @Test func stopsAWalkWithTheErrorThrown() throws {
    struct Stop: Error, Equatable { var at: Int }
    try read("[1,2,3]") { view in
      #expect(throws: Stop(at: 2)) {
        try view.forEachElement { element throws(Stop) in
          if element.integer == 2 { throw Stop(at: 2) }
        }
      }
    }
  }

  @Test(arguments: [
    (#""""#, ""), (#""plain""#, "plain"), (#""é😀""#, "é😀"), (#""\u00e9\ud83d\ude00""#, "é😀"),
    (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"), (#""a\u0000b""#, "a\0b"),
    (#""\uFFFF\u0800\u07ff""#, "\u{FFFF}\u{800}\u{7FF}"),
    (#""\ud800\udc00\udbff\udfff""#, "\u{10000}\u{10FFFF}"), (#""\u005c""#, "\\"),
  ]) func resolvesEscapes(text: String, expected: String) throws {
    try read(text) { view in
      #expect(view.string == expected)
      #expect((view.utf8 == nil) == text.contains("\\"))
    }
  }

  @Test func matchesKeysHoweverTheyAreWritten() throws {
    try read(#"["type","\u0074ype","typ","types","t\u0079pe",7]"#) { view in
      var matches: [Bool] = []
      view.forEachElement { matches.append($0.matches("type")) }
      #expect(matches == [true, true, false, false, true, false])
    }
  }

  @Test(arguments: [
    ("0", 0), ("-0", 0), ("1e3", 1000), ("1.0", 1), ("1000.000", 1000), ("-12.50e1", -125),
    ("1698620000000", 1_698_620_000_000),
    ("9223372036854775807", Int64.max), ("-9223372036854775808", .min), ("0.001e3", 1),
    ("10000000000000000000e-1", 1_000_000_000_000_000_000),
    ("0e999999999999999999999", 0), ("9.223372036854775807e18", .max), ("100E-2", 1), ("1e+2", 100), ("0.0", 0),
  ]) func readsWholeNumbersExactly(text: String, expected: Int64) throws {
    try read(text) { #expect($0.integer == expected) }
  }

  @Test(arguments: [
    "1.5", "1e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e999999999999999999999",
    "1e-999999999999999999",
    "18446744073709551616", "99999999999999999999999999999", "\"1\"", "true", "null", "[]", "12345678901234567890.5e-1",
  ]) func refusesWhatIsNoWholeNumber(text: String) throws {
    try read(text) { #expect($0.integer == nil) }
  }

  @Test func readsDoublesAndBooleans() throws {
    try read(#"[1.5,-2e-3,1e400,"x",true,false,null]"#) { view in
      let elements = Array(view.elements)
      #expect(elements.map(\.double) == [1.5, -0.002, nil, nil, nil, nil, nil])
      #expect(elements.map(\.boolean) == [nil, nil, nil, nil, true, false, nil])
      #expect(elements.map(\.isNull) == [false, false, false, false, false, false, true])
      #expect(elements.map(\.kind) == [.number, .number, .number, .string, .boolean, .boolean, .null])
    }
  }

  private func refusal(of bytes: [UInt8]) -> JSONError? {
    bytes.withUnsafeBytes { text in
      do throws(JSONError) {
        _ = try JSONView(validating: text)
        return nil
      } catch {
        return error
      }
    }
  }
}

/// Gives `body` a view of `text`.
func read(_ text: String, _ body: (JSONView) throws -> Void) throws {
  try Array(text.utf8).withUnsafeBytes { try body(try JSONView(validating: $0)) }
}
