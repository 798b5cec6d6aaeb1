import Glibc
import Testing

@testable import AvaloGateway

@Suite struct HTTPDateTests {
  /// RFC 9110's own example, and the system's opinion on many moments.
  @Test func saysWhatTheSystemSays() {
    #expect(HTTPDate.format(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
    for step in -400..<2000 {
      var seconds = time_t(step) * 7_654_321 + 12_345
      var parts = tm()
      gmtime_r(&seconds, &parts)
      var text = [CChar](repeating: 0, count: 64)
      let count = strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
      let expected = String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      #expect(HTTPDate.format(Int64(seconds)) == expected)
    }
  }

  @Test func isMadeAnewEachSecond() {
    var date = HTTPDate()
    #expect(date.text(0) == Array("Thu, 01 Jan 1970 00:00:00 GMT".utf8))
    #expect(date.text(0) == date.text(0))
    #expect(date.text(1) == Array("Thu, 01 Jan 1970 00:00:01 GMT".utf8))
  }
}
