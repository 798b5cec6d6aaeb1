import AvaloTesting
import Foundation
import Testing

/// The whole server under a real journald of the test's own, started as systemd starts a service: with its standard error
/// going to the journal, and JOURNAL_STREAM saying so.
@Suite struct JournalTests {
  @Test(
    .enabled(
      if: Needs.root && Needs.tool("systemd-journald"), "needs root and systemd-journald, for a journal of its own"))
  func everyProcessWritesItsFactsInFieldsOfTheirOwn() async throws {
    let folder = TestFolder()
    let environment = try RunningServer.prepare(folder).environment
    try folder.write("#!/bin/sh\necho 'a script speaks'; exec sleep 1000\n", to: "shell.sh", executable: true)
    try folder.copy("\(TestPaths.root)/config", to: "config")
    try folder.write(
      "executable: \(folder.path)/shell.sh\nrequired: false\n", to: "config/workers.d/shell.yaml")
    var variables = TestProcess.plainEnvironment.merging(environment) { $1 }
    variables["AVALO_WORKERS__GATEWAY__SOCKETS__CLIENT__LISTEN"] = "127.0.0.1:0"
    variables["AVALO_ADMIN__LISTEN"] = "127.0.0.1:0"
    variables["AVALO_RUNTIME_DIRECTORY"] = "\(folder.path)/run"
    variables["AVALO_STATE_DIRECTORY"] = "\(folder.path)/state"
    try folder.write(Self.script, to: "journal.sh", executable: true)
    // A namespace of processes, too: nothing in it outlives the script.
    let session = try await TestProcess.start(
      try #require(Needs.path(of: "unshare")),
      [
        "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "\(folder.path)/journal.sh", folder.path,
        TestPaths.products, try #require(Needs.path(of: "systemd-journald")),
      ], environment: variables)
    #expect(try await session.ending(within: .seconds(90)) == .exit(0), "\(session.output)")

    let entries = try folder.read("journal.json").split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        .compactMapValues { $0 as? String }
    }
    try check(entries)
  }

  private func check(_ entries: [[String: String]]) throws {
    let native = entries.filter { $0["AVALO_SOURCE"] != nil }
    let sources = [
      "avalod": "avalod", "gateway.0": "avalo-gateway", "presence.0": "avalo-presence",
      "scheduler.0": "avalo-scheduler",
    ]
    #expect(Set(native.compactMap { $0["AVALO_SOURCE"] }) == Set(sources.keys))
    for entry in native {
      #expect(entry["_TRANSPORT"] == "journal")
      #expect(entry["SYSLOG_IDENTIFIER"] == sources[entry["AVALO_SOURCE"] ?? ""])
      #expect(entry["CODE_FILE"] != nil && entry["CODE_LINE"] != nil && entry["CODE_FUNC"] != nil)
    }
    for worker in sources.keys where worker != "avalod" {
      // What avalod says of the worker and what the kernel says of its lines is one process.
      let ready = try #require(
        native.first {
          $0["AVALO_SOURCE"] == "avalod" && $0["AVALO_WORKER"] == worker
            && $0["MESSAGE"]?.hasPrefix("worker ready") == true
        })
      #expect(ready["PRIORITY"] == "5")
      let own = native.filter { $0["AVALO_SOURCE"] == worker }
      #expect(Set(own.compactMap { $0["_PID"] }) == [ready["AVALO_PID"]])
      #expect(own.contains { $0["PRIORITY"] == "5" })
    }
    // Nothing of ours comes as a bare line; what a script prints does.
    let bare = entries.filter { $0["_TRANSPORT"] == "stdout" }
    #expect(bare.map { $0["MESSAGE"] } == ["a script speaks"])
  }

  /// Arguments: the test's folder, the products' folder, journald.
  private static let script = """
    #!/bin/sh
    set -eu
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
    printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nRateLimitIntervalSec=0\\n' \\
      > /run/systemd/journald.conf.d/test.conf
    printf 'ForwardToSyslog=no\\nForwardToWall=no\\n' >> /run/systemd/journald.conf.d/test.conf
    if ! [ -s /etc/machine-id ]; then
      tr -d - < /proc/sys/kernel/random/uuid > /run/machine-id
      mount --bind /run/machine-id /etc/machine-id
    fi
    "$3" & journald=$!
    until [ -S /run/systemd/journal/stdout ] && [ -S /run/systemd/journal/socket ]; do
      kill -0 $journald
      sleep 0.01
    done
    systemd-cat --identifier=avalod sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" "$@"' \\
      "$2/avalod" --config "$1/config" & avalod=$!
    until "$2/avaloctl" status --control "$1/run/control.sock" 2> /dev/null | grep -q ', ready'; do
      kill -0 $avalod
      sleep 0.02
    done
    kill $avalod
    wait $avalod
    journalctl --sync
    journalctl --output=json --all > "$1/journal.json"
    """
}
