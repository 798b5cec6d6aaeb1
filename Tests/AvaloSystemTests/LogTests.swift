import Glibc
import Logging
import Testing

@testable import AvaloSystem

@Suite struct LogTests {
  private func event(_ message: String, _ metadata: Logger.Metadata = [:], level: Logger.Level = .notice) -> LogEvent {
    LogEvent(
      level: level, message: "\(message)", metadata: metadata, source: nil, file: "A/B.swift", function: "f()", line: 7)
  }
  private func line(_ event: LogEvent) -> String {
    String(
      decoding: ConsoleLogHandler.line(
        of: event, facts: LogState().facts(of: event), source: "gateway.0", milliseconds: 1_769_851_800_123),
      as: UTF8.self)
  }

  @Test func aConsoleLineIsOneLineWhateverItSays() {
    #expect(
      line(event("worker ready", ["pid": "812", "path": "/a b", "empty": "", "quote": "a\"b\\"]))
        == "2026-01-31T09:30:00.123Z notice  gateway.0 worker ready empty=\"\" path=\"/a b\" pid=812 "
        + "quote=\"a\\\"b\\\\\"\n")
    #expect(
      line(event("two\nlines\u{1B}[31m", ["k": "x\r\ny"]))
        == "2026-01-31T09:30:00.123Z notice  gateway.0 two\\nlines\\x1b[31m k=\"x\\x0d\\ny\"\n")
  }

  @Test func aLineIsBounded() {
    let bytes = line(event(String(repeating: "x", count: 100_000))).utf8
    #expect(bytes.count == SystemLimits.logLineBytesMax)
    #expect(bytes.suffix(4).elementsEqual("...\n".utf8))
  }

  @Test func timesBefore1970AreTimesToo() {
    #expect(ConsoleLogHandler.timestamp(-1) == "1969-12-31T23:59:59.999Z")
    #expect(ConsoleLogHandler.timestamp(0) == "1970-01-01T00:00:00.000Z")
  }

  @Test func aLineIsOneWrite() throws {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    defer { ends.forEach { close($0) } }
    var logger = Logger(label: "test") { _ in ConsoleLogHandler(source: "avalod", descriptor: ends[1]) }
    logger[metadataKey: "slot"] = "0"
    logger.warning("hello", metadata: ["a": "1"])
    var buffer = [UInt8](repeating: 0, count: 1024)
    let count = read(ends[0], &buffer, buffer.count)
    #expect(String(decoding: buffer[..<count], as: UTF8.self).hasSuffix(" warning avalod hello a=1 slot=0\n"))
  }

  @Test func theJournalGetsEveryFactInAFieldOfItsOwn() {
    let event = event("worker ready", ["worker-pid": "812", "text": "two\nlines"], level: .error)
    let fields = JournalLogHandler.fields(
      of: event, facts: LogState().facts(of: event), identifier: "avalo-gateway", source: "gateway.0")
    #expect(
      fields == [
        #"MESSAGE=worker ready text="two\nlines" worker-pid=812"#, "PRIORITY=3", "SYSLOG_IDENTIFIER=avalo-gateway",
        "CODE_FILE=A/B.swift", "CODE_LINE=7",
        "CODE_FUNC=f()", "AVALO_SOURCE=gateway.0", "MESSAGE_ID=\(MessageID.workerReady.rawValue)",
        "AVALO_TEXT=two\nlines", "AVALO_WORKER_PID=812",
      ])
  }

  @Test func theDestinationFollowsTheEnvironment() {
    #expect(Logs.Destination.automatic(Environment(["AVALO_LOG": "journal"])) == .journal)
    #expect(Logs.Destination.automatic(Environment(["AVALO_LOG": "console", "JOURNAL_STREAM": "1:2"])) == .console)
    var status = stat()
    fstat(STDERR_FILENO, &status)
    #expect(
      Logs.Destination.automatic(Environment(["JOURNAL_STREAM": "\(status.st_dev):\(status.st_ino)"])) == .journal)
    #expect(Logs.Destination.automatic(Environment(["JOURNAL_STREAM": "0:0"])) == .console)
    #expect(Logs.Destination.automatic(Environment([:])) == .console)
  }

  @Test func aLoggersOwnLevelIsItsOwn() {
    var first = Logger(label: "a") { _ in ConsoleLogHandler(source: "x") }
    let second = first
    first.logLevel = .critical
    #expect(first.logLevel == .critical)
    #expect(second.logLevel == Logs.level)
    #expect(Logs.level(named: "Debug") == .debug)
    #expect(Logs.level(named: "loud") == nil)
  }
}
