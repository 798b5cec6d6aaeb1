import Glibc

/// Lines on standard output and error, written at once: who reads a pipe sees an event when it happens.
enum Output {
  static func line(_ text: String) { write(text, to: STDOUT_FILENO) }
  static func complaint(_ text: String) { write(text, to: STDERR_FILENO) }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array((text + "\n").utf8)
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
    let widths = (0..<(rows.map(\.count).max() ?? 0)).map { column in
      rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      var text = cells.joined(separator: "  ")
      while text.last == " " { text.removeLast() }
      return text
    }
  }
}
