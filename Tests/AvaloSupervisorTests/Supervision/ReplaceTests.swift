import AvaloTesting
import Foundation
import Synchronization
import Testing

@testable import AvaloSupervisor

/// The next generation takes over from the present one without refusing anybody, or leaves it as it is.
@Suite(.serialized) struct ReplaceTests: ScriptWorkers {
  let folder = TestFolder()

  /// Answers each connection with `word`. Told to end, it accepts nothing more, and stays until the file `go` is there.
  private func answering(_ word: String) -> String {
    """
    exec perl -MSocket -e '
      open(my $listener, "+<&=", 3) or die $!;
      my $told = 0; $SIG{TERM} = sub { $told = 1 };
      socket(my $s, AF_UNIX, SOCK_DGRAM, 0);
      send($s, "READY=1", 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!;
      until ($told) {
        my $in = ""; vec($in, fileno($listener), 1) = 1;
        next unless select($in, undef, undef, 0.05) > 0;
        accept(my $c, $listener) or next;
        while (my $line = <$c>) { last if $line eq "\\r\\n" }
        my $answer = "\(word) of $ENV{AVALO_INSTANCES}";
        print $c "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($answer) . "\\r\\nConnection: close\\r\\n\\r\\n$answer";
        close($c);
      }
      close($listener);
      open(my $draining, "<", $ENV{AVALO_DRAINING}) or die $!;
      print STDERR "$ENV{AVALO_SLOT} is one of " . int(<$draining>) . " that drain\\n";
      select(undef, undef, undef, 0.02) until -e "$ENV{AVALO_STATE_DIR}/go";
    '
    """
  }
  private let edge =
    "overlap: true\ninstances: 2\nsockets: {x: {listen: \"127.0.0.1:0\", per_instance: true}}\ndrain: {deadline: 60s}"

  @Test func aNewProgramTakesOverWhileTheOldOneDrains() async throws {
    let kept = try manifest("kept")
    let server = try await start([
      "workers.d/edge.yaml": try manifest("edge", answering("one"), edge), "workers.d/kept.yaml": kept,
    ])
    let before = try await server.status()
    let old = before.instances(of: "edge").compactMap(\.pid)
    let place = try await server.address(of: "x", worker: "edge")
    let callers = Callers(host: place.host, port: place.port)
    let calling = Task { await callers.call() }
    try await waitUntil("it is called") { callers.answers["one of 2"] != nil }

    // The same file, written anew.
    _ = try manifest("edge", answering("two"), edge)
    #expect(try await server.status().instances(of: "edge").allSatisfy { $0.outdated })
    #expect(try await server.control("POST", "/reload").status == 200)
    let during = try await server.status()
    #expect(during.ready)
    #expect(during.status.contains("2 of an earlier generation draining"))
    let serving = during.instances(of: "edge").filter { $0.role == "serving" }
    #expect(serving.map(\.place) == [0, 1] && serving.map(\.slot) == [2, 3])
    #expect(serving.allSatisfy { $0.state == "ready" && !$0.outdated })
    #expect(Set(during.instances(of: "edge").filter { $0.role == "leaving" }.compactMap(\.pid)) == Set(old))
    #expect(old.allSatisfy(Scripts.isAlive))
    #expect(during.instances(of: "kept").first?.pid == before.instances(of: "kept").first?.pid)
    #expect(try await server.metric(#"avalo_worker_leaving{worker="edge"}"#) == 2)
    // What leaves is nothing that is missed.
    #expect(try await server.metric(#"avalo_worker_up{worker="edge",slot="0"}"#) == nil)

    let accepted = callers.answers["one of 2"]
    try await waitUntil("the new one answers") { callers.answers["two of 2", default: 0] > 20 }
    #expect(callers.answers["one of 2"] == accepted, "who drains accepts nothing")
    try folder.write("", to: "state/go")
    try await server.wait(for: "the old generation to end") { $0.instances(of: "edge").count == 2 }
    #expect(old.allSatisfy { !Scripts.isAlive($0) })
    for slot in [0, 1] { #expect(server.process.output.contains("\(slot) is one of 2 that drain")) }
    #expect(try await server.metric(#"avalo_worker_replacements_total{worker="edge",result="success"}"#) == 1)

    // Slots that are free again.
    #expect(try await server.control("POST", "/workers/edge/restart").status == 200)
    try await server.wait(for: "that one to end") { $0.instances(of: "edge").map(\.slot) == [0, 1] }
    calling.cancel()
    await calling.value
    #expect(callers.failures == [])
    #expect(try await server.stop() == .exit(0))
  }

  @Test func aGenerationThatDoesNotBecomeReadyChangesNothing() async throws {
    try folder.write("", to: "state/go")
    let server = try await start([
      "workers.d/edge.yaml": try manifest("edge", answering("one"), "\(edge)\nstart_timeout: 500ms"),
      "workers.d/last.yaml": try manifest("last", Scripts.plain, "drain: {order: 99}"),
    ])
    let before = try await server.status()
    for bad in ["exit 3", "sleep 1000"] {
      _ = try manifest("edge", bad, edge)
      _ = try manifest("last")
      let refused = try await server.control("POST", "/reload")
      #expect(refused.status == 422)
      let reason = bad == "exit 3" ? "exit 3" : "not ready within 500ms"
      #expect(
        refused.body.contains("edge: the new generation did not become ready (edge.2: \(reason)); the old one goes on"))
      #expect(refused.body.contains("last: not replaced because of that"))
      try await server.wait(for: "the new generation to be gone") { $0.instances(of: "edge").count == 2 }
      let after = try await server.status()
      #expect(after.ready)
      #expect(after.instances(of: "edge").map(\.pid) == before.instances(of: "edge").map(\.pid))
      #expect(after.instances(of: "last").map(\.pid) == before.instances(of: "last").map(\.pid))
      #expect(after.instances(of: "edge").allSatisfy { $0.outdated })
    }
    #expect(try await server.metric(#"avalo_worker_replacements_total{worker="edge",result="failure"}"#) == 2)
    #expect(try await server.metric(#"avalo_reload_total{result="failure"}"#) == 2)
    server.process.signal(SIGHUP)
    try await server.process.wait(for: "the STATUS that says so") { record in
      record.notified.contains { $0.hasPrefix("STATUS=reload failed (2 problems, see the log)") }
    }
    // Mended, the same reload does what it was to do.
    _ = try manifest("edge", answering("two"), edge)
    #expect(try await server.control("POST", "/reload").status == 200)
    try await server.wait(for: "the new generation alone") { status in
      status.instances(of: "edge").count == 2 && !status.instances(of: "edge").contains { $0.outdated }
    }
    let (host, port) = try await server.address(of: "x", worker: "edge")
    #expect(try await HTTPExchange.send("GET", "/", to: .internet(host: host, port: port)).body == "two of 2")
    #expect(try await server.pid(of: "last") != before.instances(of: "last").first?.pid)
    try await server.stop()
  }

  @Test func whatOwnsSomethingEndsBeforeItsSuccessorBegins() async throws {
    let owner = """
      mkdir "$AVALO_STATE_DIR/$AVALO_WORKER.owned" || exit 1
      trap 'rmdir "$AVALO_STATE_DIR/$AVALO_WORKER.owned"; echo "$AVALO_WORKER ended"; exit 0' TERM
      notify READY=1
      while :; do sleep 1000 & wait $!; done
      """
    let server = try await start([
      "workers.d/a.yaml": try manifest("a", owner, "drain: {order: 2}"),
      "workers.d/b.yaml": try manifest("b", owner, "drain: {order: 1}"),
    ])
    let before = try await server.status()
    for name in ["a", "b"] { _ = try manifest(name, owner) }
    #expect(try await server.control("POST", "/reload").status == 200)
    let after = try await server.status()
    #expect(after.ready)
    for name in ["a", "b"] {
      #expect(after.instances(of: name).map(\.slot) == [0])
      #expect(after.instances(of: name)[0].pid != before.instances(of: name)[0].pid)
    }
    let log = server.process.output
    let first = try #require(log.range(of: "b ended")).lowerBound
    #expect(first < (try #require(log.range(of: "a ended")).lowerBound))
    try await server.stop()
  }

  @Test func theNumberOfInstancesChangesWhileItRuns() async throws {
    try folder.write("", to: "state/go")
    let text = try manifest("edge", answering("one"), edge)
    let server = try await start(["workers.d/edge.yaml": text])
    let pids = try await server.status().instances(of: "edge").compactMap(\.pid)
    let place = try await server.address(of: "x", worker: "edge")
    func places() async throws -> [Int] {
      let status = try await server.status()
      #expect(status.ready)
      return status.instances(of: "edge").filter { $0.role == "serving" }.map(\.place)
    }
    let more = try await server.control("POST", "/workers/edge/scale", body: "4")
    #expect(more.status == 200)
    #expect(
      more.body == "edge has 4 instances; the configured number is 2, and holds again when avalod is started anew\n")
    #expect(try await places() == [0, 1, 2, 3])
    // A reload that changes something else keeps it.
    #expect(try await server.control("POST", "/reload").status == 200)
    #expect(try await places() == [0, 1, 2, 3])
    #expect(try await server.status().instances(of: "edge").compactMap(\.pid).prefix(2) == pids[...])
    #expect(try await server.control("POST", "/workers/edge/scale", body: "1\n").status == 200)
    try await server.wait(for: "the others to end") { $0.instances(of: "edge").count == 1 }
    // Whatever each of them was told when it was started.
    for slot in [1, 2, 3] { try await server.process.waitForOutput("\(slot) is one of 3 that drain") }
    #expect(try await server.pid(of: "edge") == pids[0])
    var store = DescriptorStore()
    try await store.follow(server.process, removals: 3)
    for _ in 0..<20 {
      #expect(try await HTTPExchange.send("GET", "/", to: .internet(host: place.host, port: place.port)).status == 200)
    }
    // The configuration's own number counts when it changes.
    try folder.write(text.replacing("instances: 2", with: "instances: 3"), to: "config/workers.d/edge.yaml")
    #expect(try await server.control("POST", "/reload").status == 200)
    #expect(try await places() == [0, 1, 2])

    for (body, status) in [("0", 400), ("many", 400), ("257", 400)] {
      #expect(try await server.control("POST", "/workers/edge/scale", body: body).status == status)
    }
    #expect(try await server.control("GET", "/workers/edge/scale").status == 405)
    // More that do not become ready: as before.
    _ = try manifest("edge", "exit 3", edge)
    let refused = try await server.control("POST", "/workers/edge/scale", body: "4")
    #expect(refused.status == 503)
    #expect(refused.body.contains("edge.3 did not become ready (exit 3); there are 3 as before"))
    #expect(try await places() == [0, 1, 2])
    try await server.stop()
  }

  @Test func aDrainedWorkerLetsNobodyInUntilItsRestart() async throws {
    try folder.write("", to: "state/go")
    let server = try await start([
      "workers.d/edge.yaml": try manifest("edge", answering("one"), edge),
      "workers.d/other.yaml": try manifest("other"),
    ])
    let place = try await server.address(of: "x", worker: "edge")
    func ask() async throws -> Int {
      try await HTTPExchange.send("GET", "/", to: .internet(host: place.host, port: place.port)).status
    }
    var store = DescriptorStore()
    #expect(try await server.control("POST", "/workers/edge.1/drain").status == 200)
    try await store.follow(server.process, removals: 1)
    var status = try await server.status()
    #expect(!status.ready && status.status.contains("edge drained (1)"))
    #expect(status.instances(of: "edge").map(\.place) == [0])
    #expect(try await server.admin("/readyz").body.contains("edge drained (1 of 2)"))
    for _ in 0..<20 { #expect(try await ask() == 200) }
    // A reload opens nothing.
    #expect(try await server.control("POST", "/reload").status == 200)
    status = try await server.status()
    #expect(status.instances(of: "edge").map(\.place) == [0])
    // Who is asked for by the slot that was drained: that place alone is opened.
    let kept = status.instances(of: "edge").map(\.pid)
    #expect(try await server.control("POST", "/workers/edge.1/restart").status == 200)
    status = try await server.status()
    #expect(status.instances(of: "edge").map(\.place) == [0, 1] && status.instances(of: "edge")[0].pid == kept[0])
    let gone = try await server.control("POST", "/workers/edge.9/restart")
    #expect(gone.status == 404 && gone.body.contains("there is no edge.9; there are edge."))

    #expect(try await server.control("POST", "/workers/edge/drain").status == 200)
    try await store.follow(server.process, removals: 3)
    let again = try await server.control("POST", "/workers/edge/drain")
    #expect(again.status == 404 && again.body.contains("edge was drained; it serves again after"))
    #expect(try await server.control("POST", "/workers/edge/scale", body: "3").status == 200)
    #expect(try await server.status().instances(of: "edge").map(\.place) == [0, 1, 2])
    #expect(try await server.control("POST", "/workers/edge/drain").status == 200)
    try await store.follow(server.process, removals: 6)
    #expect(try await server.status().instances(of: "edge").isEmpty)
    await #expect(throws: (any Error).self) { try await ask() }
    #expect(try await server.control("POST", "/workers/edge/restart").status == 200)
    status = try await server.status()
    #expect(status.ready && status.instances(of: "edge").map(\.place) == [0, 1, 2])
    let address = try await server.address(of: "x", worker: "edge")
    #expect(
      try await HTTPExchange.send("GET", "/", to: .internet(host: address.host, port: address.port)).status == 200)
    let refused = try await server.control("POST", "/workers/other/drain")
    #expect(refused.status == 409 && refused.body.contains("no overlap: true"))
    try await server.stop()
  }

  /// Looks again and again until it is so.
  private func waitUntil(_ what: String, _ condition: () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while !condition() {
      try #require(ContinuousClock.now < deadline, "time is up, waiting until \(what)")
      try await Task.sleep(for: .milliseconds(10))
    }
  }
}

/// The service manager's store: keeps the sockets it is given open until it is told that they are not wanted any more.
private struct DescriptorStore {
  private var kept: [String: [Int32]] = [:]
  private var seen = 0

  /// Returns when so many have been taken out, in all.
  mutating func follow(_ process: TestProcess, removals: Int) async throws {
    try await process.waitForNotification("FDSTOREREMOVE=1", count: removals)
    let all = process.record.notifications
    for notification in all[seen...] {
      let name = notification.lines.first { $0.hasPrefix("FDNAME=") } ?? ""
      kept[name, default: []] += notification.descriptors
      guard notification.lines.contains("FDSTOREREMOVE=1") else { continue }
      for descriptor in kept.removeValue(forKey: name) ?? [] { close(descriptor) }
    }
    seen = all.count
  }
}

/// Connects again and again, and counts who answers.
private final class Callers: Sendable {
  private struct State {
    var answers: [String: Int] = [:]
    var failures: [String] = []
  }
  private let host: String
  private let port: Int
  private let state = Mutex(State())

  init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  var answers: [String: Int] { state.withLock { $0.answers } }
  var failures: [String] { state.withLock { $0.failures } }

  /// Until the task is cancelled.
  func call() async {
    while !Task.isCancelled {
      do {
        let answer = try await HTTPExchange.send("GET", "/", to: .internet(host: host, port: port))
        state.withLock { $0.answers[answer.body, default: 0] += 1 }
      } catch {
        state.withLock { $0.failures.append("\(error)") }
      }
    }
  }
}
