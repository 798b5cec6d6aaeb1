import AvaloTesting
import Foundation
import Testing

/// A suite that runs avalod as a process, with workers that are shell scripts added by a manifest alone: all that the
/// supervisor needs to know of a worker is in there.
protocol ScriptWorkers {
  /// The test's own.
  var folder: TestFolder { get }
}

extension ScriptWorkers {
  /// A manifest whose executable is `script`.
  func manifest(_ name: String, _ script: String = Scripts.plain, _ rest: String = "") throws -> String {
    let path = try folder.write(Scripts.prelude + script, to: "\(name).sh", executable: true)
    return "executable: \(path)\n\(rest)\n"
  }

  func start(_ files: [String: String], waitForReady: Bool = true, environment: [String: String] = [:]) async throws
    -> ServerProcess
  {
    try await ServerProcess.start(.files(files), environment: environment, in: folder, waitForReady: waitForReady)
  }
}

/// What the scripts do, and what is read of what became of them.
enum Scripts {
  /// What the scripts share: `notify` says something to NOTIFY_SOCKET, as systemd-notify(1) does.
  static let prelude = """
    #!/bin/sh
    notify() {
      perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_DGRAM, 0); send($s, $ARGV[0], 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!' "$1"
    }

    """

  /// Says READY, and ends when told.
  static let plain = """
    trap 'notify STOPPING=1; echo "$AVALO_WORKER.$AVALO_SLOT stopped"; exit 0' TERM
    trap 'notify RELOADING=1; echo "$AVALO_WORKER read $(cat $AVALO_SETTINGS)"; notify READY=1' HUP
    notify READY=1
    while :; do sleep 1000 & wait $!; done
    """

  /// Serves its metrics, and tells what it was asked: an HTTP server in as few lines as will do.
  static let talking = """
    exec perl -MSocket -e '
      my @names = split /:/, $ENV{LISTEN_FDNAMES};
      my ($index) = grep { $names[$_] eq "metrics" } 0..$#names;
      open(my $listener, "+<&=", 3 + $index) or die $!;
      socket(my $s, AF_UNIX, SOCK_DGRAM, 0);
      send($s, "READY=1", 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!;
      my $page = "# HELP jobs_total Jobs done.\\n# TYPE jobs_total counter\\njobs_total{kind=\\"a\\"} 5000\\njobs_total{kind=\\"b\\"} 1234\\n";
      while (1) {
        my $in = ""; vec($in, fileno($listener), 1) = 1;
        select($in, undef, undef, undef);
        accept(my $c, $listener) or next;
        my ($request, $length) = ("", 0);
        while (my $line = <$c>) { $request .= $line; $length = $1 if $line =~ /^content-length: (\\d+)/i; last if $line eq "\\r\\n" }
        read($c, my $body, $length) if $length;
        my ($method, $path) = split / /, $request;
        print STDERR "asked $method $path " . ($body // "") . "\\n" if $path eq "/log-level";
        my $answer = $path eq "/metrics" ? (-e "$ENV{AVALO_STATE_DIR}/broken" ? "not { a page\\n" : $page) : "$method $path " . ($body // "") . " at $ENV{AVALO_SLOT}\\n";
        print $c "HTTP/1.1 " . ($path eq "/teapot" ? 418 : 200) . " OK\\r\\nContent-Length: " . length($answer) . "\\r\\nConnection: close\\r\\n\\r\\n$answer";
        close($c);
      }'
    """

  /// What the log says of each death's `restart_in`.
  static func delays(in log: String) -> [String] {
    log.split(separator: "\n").filter { $0.contains("worker died") }.compactMap { line in
      line.split(separator: " ").first { $0.hasPrefix("restart_in=") }.map { String($0.dropFirst(11)) }
    }
  }

  /// Whether the process has a handler for the signal.
  static func catches(_ signal: Int32, _ pid: Int32) -> Bool {
    guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("SigCgt:") }),
      let mask = UInt64(line.dropFirst(7).filter { !$0.isWhitespace }, radix: 16)
    else { return false }
    return mask & 1 << UInt64(signal - 1) != 0
  }

  /// Whether the process runs; one that only waits to be reaped does not.
  static func isAlive(_ pid: Int32) -> Bool {
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let state = stat.split(separator: ")").last?.first(where: { $0 != " " })
    else { return false }
    return state != "Z" && state != "X"
  }
}

extension ServerProcess {
  func address(of face: String) async throws -> (String, Int) {
    let address = try #require(try await status().admin.first)
    let parts = address.split(separator: ":")
    return (String(parts[0]), try #require(Int(parts[1])))
  }
}
