import AvaloCore
import Testing

@Suite struct JSONWriterTests {
  @Test func writesEveryShape() {
    var json = JSONWriter()
    json.object {
      $0.member("success", true)
      $0.member("topic", "user:u")
      $0.key("list")
      $0.array {
        $0.integer(1)
        $0.string("a")
        $0.object { _ in }
        $0.array { _ in }
        $0.null()
        $0.boolean(false)
        $0.raw("{\"x\":1}".utf8)
        $0.integer(-2)
      }
      $0.key("dynamic \"key\"")
      $0.object { $0.member("offset", UInt64.max) }
      $0.member("end", Int64.min)
    }
    #expect(
      String(decoding: json.bytes, as: UTF8.self)
        == #"{"success":true,"topic":"user:u","list":[1,"a",{},[],null,false,{"x":1},-2],"dynamic \"key\"":{"offset":18446744073709551615},"end":-9223372036854775808}"#
    )
    #expect(json.take().count > 0 && json.bytes.isEmpty)
  }

  @Test func startsBehindAPrefixWithoutAComma() {
    var json = JSONWriter(Array("data: ".utf8))
    json.object { $0.member("a", 0) }
    #expect(String(decoding: json.bytes, as: UTF8.self) == #"data: {"a":0}"#)
  }

  @Test func escapesWhatMustBeEscapedAndNothingElse() {
    var json = JSONWriter()
    json.string("\"\\\u{8}\t\n\u{c}\r\u{0}\u{1f}/\u{7f}é😀 and a plain run that is long")
    #expect(
      String(decoding: json.bytes, as: UTF8.self)
        == "\"\\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001f/\u{7f}é😀 and a plain run that is long\"")
  }

  @Test func readsBackEveryStringItWrites() throws {
    var random = Seeded(state: 7)
    for _ in 0..<3000 {
      let text = random.text(upTo: 40)
      var json = JSONWriter()
      json.string(text)
      let read = try json.bytes.withUnsafeBytes { try JSONView(validating: $0).string }
      #expect(read == text)
    }
  }

  @Test func readsBackEveryIntegerItWrites() throws {
    var random = Seeded(state: 8)
    for shift in 0..<64 {
      for _ in 0..<8 {
        let value = Int64(truncatingIfNeeded: random.next() >> UInt64(shift)) &* (random.next() & 1 == 0 ? 1 : -1)
        var json = JSONWriter()
        json.integer(value)
        #expect(String(decoding: json.bytes, as: UTF8.self) == "\(value)")
        let read = try json.bytes.withUnsafeBytes { try JSONView(validating: $0).integer }
        #expect(read == value)
      }
    }
  }
}
