import Glibc
import Logging

/// One line on standard error, in one write(2), so that lines of several processes never mix:
///
///     2026-01-31T09:30:00.123Z notice  gateway.0 worker ready pid=812 socket="/run/avalo/a b.sock"
struct ConsoleLogHandler: LogHandler {
  private let source: String
  private let descriptor: Int32
  private let clock: WallClock
  private var state = LogState()

  init(source: String, descriptor: Int32 = STDERR_FILENO, clock: WallClock = .system) {
    self.source = source
    self.descriptor = descriptor
    self.clock = clock
  }

  func log(event: LogEvent) {
    let line = ConsoleLogHandler.line(
      of: event, facts: state.facts(of: event), source: source, milliseconds: clock.milliseconds)
    var written = 0
    // A log that nobody can read must not stop what it tells of: errors other than a signal end the line.
    line.withUnsafeBytes { bytes in
      while written < bytes.count {
        let count = write(descriptor, bytes.baseAddress! + written, bytes.count - written)
        if count > 0 { written += count } else if errno != EINTR { return }
      }
    }
  }

  var metadata: Logger.Metadata {
    get { state.metadata }
    set { state.metadata = newValue }
  }
  var logLevel: Logger.Level {
    get { state.level }
    set { state.ownLevel = newValue }
  }
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { state.metadata[key] }
    set { state.metadata[key] = newValue }
  }

  static func line(
    of event: LogEvent, facts: [(key: String, value: String)], source: String, milliseconds: Int64
  ) -> [UInt8] {
    var line = Array(timestamp(milliseconds).utf8)
    let level = event.level.rawValue
    line.append(contentsOf: " \(level)\(String(repeating: " ", count: 8 - level.utf8.count))\(source) ".utf8)
    append(event.message.description, facts, to: &line)
    if line.count >= SystemLimits.logLineBytesMax {
      line.removeSubrange((SystemLimits.logLineBytesMax - 4)...)
      line.append(contentsOf: "...".utf8)
    }
    line.append(UInt8(ascii: "\n"))
    return line
  }

  /// The message with its facts behind it: `worker ready pid=812`. What people read, in the journal too.
  static func append(_ message: String, _ facts: [(key: String, value: String)], to line: inout [UInt8]) {
    append(message.utf8, to: &line)
    for (key, value) in facts {
      line.append(UInt8(ascii: " "))
      append(key.utf8, to: &line)
      line.append(UInt8(ascii: "="))
      let quoted = value.isEmpty || value.utf8.contains { $0 <= 0x20 || $0 == UInt8(ascii: "\"") }
      if quoted { line.append(UInt8(ascii: "\"")) }
      append(value.utf8, to: &line, quoted: quoted)
      if quoted { line.append(UInt8(ascii: "\"")) }
    }
  }

  /// Control characters are shown, not sent: no line break from outside starts a line of ours, none drives a terminal.
  private static func append(_ text: some Sequence<UInt8>, to line: inout [UInt8], quoted: Bool = false) {
    for byte in text {
      switch byte {
      case UInt8(ascii: "\n"): line.append(contentsOf: "\\n".utf8)
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        if quoted { line.append(UInt8(ascii: "\\")) }
        line.append(byte)
      case 0..<0x20, 0x7F:
        let digits = String(byte, radix: 16)
        line.append(contentsOf: "\\x\(digits.utf8.count == 1 ? "0" : "")\(digits)".utf8)
      default: line.append(byte)
      }
    }
  }

  /// ISO 8601 in UTC.
  static func timestamp(_ milliseconds: Int64) -> String {
    var seconds = time_t(milliseconds.floorDivided(by: 1000))
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func padded(_ value: some BinaryInteger, _ width: Int = 2) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
    return "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))T"
      + "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))."
      + "\(padded(milliseconds - Int64(seconds) * 1000, 3))Z"
  }
}

extension Int64 {
  fileprivate func floorDivided(by divisor: Int64) -> Int64 {
    self >= 0 ? self / divisor : -((-self + divisor - 1) / divisor)
  }
}
