import CSystemd
import Glibc
import Logging

/// Writes to the journal by its native protocol (sd_journal_sendv(3)): MESSAGE with the facts behind it, PRIORITY,
/// SYSLOG_IDENTIFIER, CODE_FILE, CODE_LINE, CODE_FUNC, AVALO_SOURCE, and each fact `key` as `AVALO_KEY`; MESSAGE_ID for
/// the messages of ``MessageID`` (systemd.journal-fields(7)). A line the journal does not take goes to standard error.
struct JournalLogHandler: LogHandler {
  private let identifier: String
  private let source: String
  private var state = LogState()

  init(identifier: String, source: String) {
    self.identifier = identifier
    self.source = source
  }

  func log(event: LogEvent) {
    let fields = JournalLogHandler.fields(
      of: event, facts: state.facts(of: event), identifier: identifier, source: source)
    guard JournalLogHandler.send(fields) < 0 else { return }
    var fallback = ConsoleLogHandler(source: source)
    fallback.metadata = state.metadata
    fallback.log(event: event)
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

  static func fields(
    of event: LogEvent, facts: [(key: String, value: String)], identifier: String, source: String
  ) -> [String] {
    // Whoever reads `journalctl -u avalod` sees what is on a terminal; whoever searches has the fields.
    var message = Array("MESSAGE=".utf8)
    ConsoleLogHandler.append(event.message.description, facts, to: &message)
    var fields = [
      String(decoding: message, as: UTF8.self), "PRIORITY=\(priority(event.level))", "SYSLOG_IDENTIFIER=\(identifier)",
      "CODE_FILE=\(event.file)", "CODE_LINE=\(event.line)", "CODE_FUNC=\(event.function)", "AVALO_SOURCE=\(source)",
    ]
    if let id = MessageID.of(event.message.description) { fields.append("MESSAGE_ID=\(id.rawValue)") }
    for (key, value) in facts { fields.append("AVALO_\(fieldName(key))=\(value)") }
    return fields
  }

  /// Upper-case letters, digits and underscores, at most 64 bytes with the prefix.
  private static func fieldName(_ key: String) -> String {
    String(
      decoding: key.utf8.prefix(58).map { byte -> UInt8 in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 0x20
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
        default: UInt8(ascii: "_")
        }
      }, as: UTF8.self)
  }

  /// syslog(3)'s numbers.
  private static func priority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }

  private static func send(_ fields: [String]) -> Int32 {
    // One run of bytes for all of them: an iovec points into it.
    var bytes: [UInt8] = []
    let lengths = fields.map { field in
      bytes.append(contentsOf: field.utf8)
      return field.utf8.count
    }
    return bytes.withUnsafeMutableBytes { buffer in
      var offset = 0
      let vectors = lengths.map { length in
        defer { offset += length }
        return iovec(iov_base: buffer.baseAddress! + offset, iov_len: length)
      }
      return sd_journal_sendv(vectors, Int32(vectors.count))
    }
  }
}
