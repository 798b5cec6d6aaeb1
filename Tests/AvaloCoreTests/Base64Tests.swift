import AvaloCore
import Testing

@Suite struct Base64Tests {
  /// RFC 4648 §10.
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ("foobar", "Zm9vYmFy"),
  ]) func writesAndReadsBase64(plain: String, text: String) {
    #expect(Base64.encode(plain.utf8) == text)
    #expect(Base64.decode(text) == Array(plain.utf8))
    #expect(Base64.decode(text.filter { $0 != "=" }) == Array(plain.utf8))
  }

  @Test func knowsWhatIsNoBase64() {
    #expect(Base64.encode([0xFB, 0xFF]) == "+/8=")
    #expect(Base64.decode("+/8=") == [0xFB, 0xFF])
    for text in ["-_8=", "Zg=", "Zg===", "Z", "Zm 9v", "====", "Zh=="] {
      #expect(Base64.decode(text) == nil, "\(text)")
    }
  }
}
