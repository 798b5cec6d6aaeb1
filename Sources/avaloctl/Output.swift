import AvaloTrace
import Glibc

/// Lines on standard output and error, written at once: who reads a pipe sees an event when it happens.
enum Output {
  static func line(_ text: String) { write(printable(text) + "\n", to: STDOUT_FILENO) }
  static func complaint(_ text: String) { write(printable(text) + "\n", to: STDERR_FILENO) }
  /// As it is, for a terminal.
  static func raw(_ text: String) { write(text, to: STDOUT_FILENO) }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + start, bytes.count - start) }
      if written < 0, errno == EINTR { continue }
      // Nobody reads any more, as after `| head`.
      if written <= 0 { exit(0) }
      start += written
    }
  }

  /// Columns as wide as their widest cell, two spaces apart.
  static func table(_ rows: [[String]]) { for text in tableLines(rows) { line(text) } }

  static func tableLines(_ rows: [[String]]) -> [String] {
    TextTable.lines(rows.map { $0.map { printable($0, isCell: true) } })
  }

  /// What users write reaches the operator's terminal as text: control characters, which terminals obey, and those that
  /// turn the direction of what follows are written as JSON writes them, so that a line of JSON stays what it is.
  /// - `isCell`: line ends and tabs too.
  static func printable(_ text: String, isCell: Bool = false) -> String {
    func isPlain(_ scalar: Unicode.Scalar) -> Bool {
      switch scalar.value {
      case 0x09, 0x0A: !isCell
      case 0..<0x20, 0x7F...0x9F, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069: false
      default: true
      }
    }
    guard !text.unicodeScalars.allSatisfy(isPlain) else { return text }
    var plain = ""
    for scalar in text.unicodeScalars {
      if isPlain(scalar) {
        plain.unicodeScalars.append(scalar)
      } else {
        let digits = String(scalar.value, radix: 16)
        plain += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return plain
  }
}
