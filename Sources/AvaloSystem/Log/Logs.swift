import Glibc
import Logging
import Synchronization

/// The process's logging: where lines go and from which level on. Set up once, at the start; the level may change.
public enum Logs {
  public enum Destination: String, Sendable {
    /// The journal's native protocol: every fact in a field of its own.
    case journal
    /// One readable line on standard error.
    case console

    /// As `AVALO_LOG` says; otherwise the journal when standard error already goes there (JOURNAL_STREAM, see
    /// systemd.exec(5)), a terminal's line when not.
    public static func automatic(_ environment: Environment = .process) -> Destination {
      if let named = environment["AVALO_LOG"].flatMap(Destination.init) { return named }
      var status = stat()
      guard let stream = environment["JOURNAL_STREAM"], fstat(STDERR_FILENO, &status) == 0 else { return .console }
      return stream == "\(status.st_dev):\(status.st_ino)" ? .journal : .console
    }
  }

  /// The level below which nothing is logged, for every logger that was not given one of its own. Any thread.
  public static var level: Logger.Level {
    get { Logger.Level.allCases[levelIndex.load(ordering: .relaxed)] }
    set { levelIndex.store(Logger.Level.allCases.firstIndex(of: newValue)!, ordering: .relaxed) }
  }

  /// Makes this the process's log. Call once, before the first `Logger`.
  ///
  /// - `identifier`: the program, such as `avalo-gateway` (the journal's SYSLOG_IDENTIFIER).
  /// - `source`: who speaks, on every line of a console: `gateway.0`, `avalod`.
  public static func bootstrap(
    level: Logger.Level = .info, destination: Destination = .automatic(), identifier: String, source: String
  ) {
    self.level = level
    switch destination {
    case .journal:
      LoggingSystem.bootstrap { _ in JournalLogHandler(identifier: identifier, source: source) }
    case .console:
      LoggingSystem.bootstrap { _ in ConsoleLogHandler(source: source) }
    }
  }

  /// A level by its name (`debug`, `info`, `notice`, `warning`, `error`), in any case.
  public static func level(named name: String) -> Logger.Level? { Logger.Level(rawValue: name.lowercased()) }

  private static let levelIndex = Atomic(Logger.Level.allCases.firstIndex(of: .info)!)
}

/// What both handlers keep: a logger's metadata and level are values of its own.
struct LogState: Sendable {
  var metadata: Logger.Metadata = [:]
  var ownLevel: Logger.Level?
  var level: Logger.Level { ownLevel ?? Logs.level }

  /// The logger's facts, overridden by the line's, ordered by key.
  func facts(of event: LogEvent) -> [(key: String, value: String)] {
    var all = metadata
    if let own = event.metadata { all.merge(own) { $1 } }
    var facts = all.map { (key: $0.key, value: $0.value.description) }
    facts.sort { $0.key < $1.key }
    if let error = event.error { facts.append((key: "error", value: "\(error)")) }
    return facts
  }
}
