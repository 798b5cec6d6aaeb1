import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

/// Upward avalod is a model Type=notify service, downward it speaks the same: the test plays systemd.
@Suite(.serialized) struct ServiceManagerTests: ScriptWorkers {
  let folder = TestFolder()

  @Test func upwardItIsAModelService() async throws {
    let server = try await start(
      ["workers.d/a.yaml": try manifest("a", Scripts.plain, "sockets: {x: {listen: \"127.0.0.1:0\"}}")],
      environment: ["WATCHDOG_USEC": "200000"])
    try await server.process.waitForNotification("WATCHDOG=1", count: 4)
    let notified = server.process.record.notified
    let ready = try #require(notified.firstIndex(of: "READY=1"))
    #expect(notified[ready + 1] == "STATUS=1 worker")
    // The listening sockets are given away for the next run, by name.
    let stored = server.process.record.notifications.filter { $0.lines.contains("FDSTORE=1") }
    #expect(stored.flatMap(\.lines).filter { $0.hasPrefix("FDNAME=") } == ["FDNAME=a.x.0", "FDNAME=avalod.admin.0"])
    #expect(stored.allSatisfy { $0.descriptors.count == 1 })
    try await server.stop()
    let all = server.process.record.notified
    #expect(all.contains("STOPPING=1"))
    // The drain's deadline, what comes after it, and a margin.
    #expect(all.contains("EXTEND_TIMEOUT_USEC=17000000"))
    #expect(!all.contains { $0.hasPrefix("MAINPID") })
  }

  @Test func eachGroupThatDrainsAsksForItsOwnTime() async throws {
    let slow = """
      trap 'notify STOPPING=1; sleep 0.2; exit 0' TERM
      notify READY=1
      while :; do sleep 1000 & wait $!; done
      """
    let server = try await start([
      "workers.d/first.yaml": try manifest("first", slow, "drain: {order: 1, deadline: 3s}"),
      "workers.d/beside.yaml": try manifest("beside", slow, "drain: {order: 1, deadline: 8s}"),
      "workers.d/last.yaml": try manifest("last", slow, "drain: {order: 2, deadline: 40s}"),
    ])
    try await server.stop()
    let end = server.process.record.notifications.drop { !$0.lines.contains("STOPPING=1") }
    let asked = end.filter { $0.lines.contains { $0.hasPrefix("EXTEND_TIMEOUT_USEC=") } }
    // The longest of the group, SIGKILL's delay, and a margin.
    #expect(asked.flatMap(\.lines) == ["EXTEND_TIMEOUT_USEC=15000000", "EXTEND_TIMEOUT_USEC=47000000"])
    let times = asked.map(\.nanoseconds)
    #expect(times[1] - times[0] >= 200_000_000, "the second group is told when the first has ended")
  }

  @Test func aFlappingWorkerIsNoFloodOfLines() async throws {
    let server = try await start([
      "workers.d/good.yaml": try manifest("good"),
      "workers.d/flapping.yaml": try manifest(
        "flapping", "notify READY=1; sleep 0.05; exit 1", "required: false\nrestart: {min: 50ms, max: 50ms}"),
    ])
    try await server.process.wait(for: "twenty deaths") { Scripts.delays(in: $0.output).count >= 20 }
    try await server.process.wait(for: "three lines") { record in
      record.notifications.count { $0.lines.first?.hasPrefix("STATUS=") == true } >= 3
    }
    // READY comes with a line of its own.
    let lines = server.process.record.notifications.filter { $0.lines.first?.hasPrefix("STATUS=") == true }
    for (earlier, later) in zip(lines, lines.dropFirst()) {
      #expect(later.nanoseconds - earlier.nanoseconds > 900_000_000)
    }
    #expect(try await server.status().ready, "what is not required withholds nothing")
    try await server.stop()
  }

  @Test func theWatchdogIsFedWhateverTheWorkersDo() async throws {
    let server = try await start(
      [
        "workers.d/stuck.yaml": try manifest("stuck", "trap '' TERM; sleep 1000", "drain: {deadline: 200ms}"),
        "workers.d/dying.yaml": try manifest("dying", "exit 1", "restart: {min: 10ms, max: 10ms}"),
      ], waitForReady: false, environment: ["WATCHDOG_USEC": "2000000"])
    try await server.process.waitForNotification("WATCHDOG=1", count: 4)
    let beats = server.process.record.notifications.filter { $0.lines.contains("WATCHDOG=1") }.map(\.nanoseconds)
    for (earlier, later) in zip(beats, beats.dropFirst()) { #expect(later - earlier < 2_000_000_000) }
    #expect(!server.process.record.notified.contains("READY=1"))
    try await server.stop()
  }

  @Test(.enabled(if: Needs.tool("systemd-notify"), "needs systemd-notify"))
  func systemdsOwnToolSpeaksToUs() async throws {
    // A child of the worker that is gone before its word is read; it waits for a descriptor it passes to be closed.
    let script = """
      systemd-notify --ready --status="by systemd's tool" && echo "heard"
      trap 'exit 0' TERM
      while :; do sleep 1000 & wait $!; done
      """
    let server = try await start(["workers.d/a.yaml": try manifest("a", script)])
    try await server.process.waitForOutput("heard")
    #expect(try await server.status().instances(of: "a").first?.status == "by systemd's tool")
    try await server.stop()
  }

  @Test func listenersThatTheServiceManagerKeptComeBack() async throws {
    let manifest = try manifest(
      "a", Scripts.plain, "instances: 2\nsockets: {client: {listen: \"127.0.0.1:0\", per_instance: true}}")
    let server = try await start(["workers.d/a.yaml": manifest])
    let address = try await server.address(of: "client", worker: "a")
    let stored = server.process.record.notifications.filter { $0.lines.contains("FDSTORE=1") }
    let names = stored.map { $0.lines.first { $0.hasPrefix("FDNAME=") }.map { String($0.dropFirst(7)) } ?? "" }
    #expect(names == ["a.client.0", "a.client.1", "avalod.admin.0"])
    try await server.process.stop(SIGKILL)
    // Between the two runs a client connects: its connection waits.
    let client = try connectedSocket(port: address.port)
    defer { close(client) }
    let next = try await ServerProcess.start(
      nil,
      environment: [
        "LISTEN_FDS": "\(names.count)", "LISTEN_FDNAMES": names.joined(separator: ":"), "LISTEN_PID": "",
      ], in: folder, descriptors: stored.flatMap(\.descriptors))
    #expect(try await next.address(of: "client", worker: "a") == address)
    var byte: UInt8 = 0
    #expect(recv(client, &byte, 1, Int32(MSG_DONTWAIT)) == -1 && errno == EAGAIN, "still open")
    try await next.stop()
    for descriptor in stored.flatMap(\.descriptors) { close(descriptor) }
  }

  private func connectedSocket(port: Int) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
    return descriptor
  }
}
