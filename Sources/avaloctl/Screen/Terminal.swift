import AvaloSystem
import Glibc

/// The terminal while a live screen has it: another screen than the shell's, without cursor and echo, until ``close()``.
struct Terminal {
  enum Event: Sendable {
    case time
    case key(UInt8)
    case signal(Int32)
  }

  /// What happens; `time` at every interval.
  let events: AsyncStream<Event>
  /// The keyboard's, when it is a terminal; `nil` otherwise.
  private let settings: termios?

  static func open(every interval: Duration) throws -> Terminal {
    guard isatty(STDOUT_FILENO) == 1 else {
      throw ToolError.usage("This takes a terminal; into a file or a pipe goes one look: --once")
    }
    let (events, post) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(16))
    let signals = try Signals.stream([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH])
    // Both end with the process.
    Task { for await number in signals { post.yield(.signal(number)) } }
    Task {
      while true {
        try await Task.sleep(for: interval)
        post.yield(.time)
      }
    }
    var settings = termios()
    let hasKeyboard = tcgetattr(STDIN_FILENO, &settings) == 0
    if hasKeyboard {
      try SystemThread.start(name: "keys") {
        var key: UInt8 = 0
        while read(STDIN_FILENO, &key, 1) == 1 { post.yield(.key(key)) }
      }
    }
    let terminal = Terminal(events: events, settings: hasKeyboard ? settings : nil)
    terminal.take()
    return terminal
  }

  /// Gives it back as it was.
  func close() {
    if var settings { tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) }
    Output.raw("\u{1B}[?25h\u{1B}[?1049l")
  }

  /// Stops the process, as Ctrl-Z is to; returns when it goes on.
  func pause() {
    close()
    raise(SIGSTOP)
    take()
  }

  private func take() {
    Output.raw("\u{1B}[?1049h\u{1B}[?25l")
    guard var quiet = settings else { return }
    quiet.c_lflag &= ~tcflag_t(ICANON | ECHO)
    tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet)
  }

  /// Shows as much of `lines` as there is room for.
  func show(_ lines: [String]) {
    var size = winsize()
    let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0
    let (columns, rows) = isKnown ? (Int(size.ws_col), Int(size.ws_row)) : (80, 24)
    let shown = Terminal.cropped(lines, columns, rows)
    // From the top, each line cleared before it is written, then what is below: nothing flickers. After a line that fills
    // its row, clearing would take its last character.
    let below = shown.count < rows ? "\n\u{1B}[J" : ""
    Output.raw("\u{1B}[H" + shown.map { "\u{1B}[K" + $0 }.joined(separator: "\n") + below)
  }

  /// No line is wrapped or scrolls the others away, and what a worker says of itself steers no terminal.
  static func cropped(_ lines: [String], _ columns: Int, _ rows: Int) -> [String] {
    lines.prefix(rows).map { line in
      String(
        String(line.filter { $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } }).prefix(
          columns))
    }
  }
}
