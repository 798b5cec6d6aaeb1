import AvaloTesting
import Glibc
import Testing

/// A gateway whose descriptors run out: it turns clients away, serves those it has, takes calls, and recovers.
@Suite(.serialized) struct DescriptorLimitTests {
  @Test func turnsAwayWhatItCannotHoldAndRecovers() async throws {
    let server = try await RunningServer.start(
      document: """
        workers:
          gateway:
            limits: {open_files: 128}
        """)
    let (_, port) = try await server.process.address(of: "client", worker: "gateway")
    let backend = server.backend()

    // WebSockets until there is no room for more; calls still go through.
    let users = (0..<200).map { "user\($0)" }
    let sockets = try users.map { try Attempt(port: port, token: server.token($0)) }
    let live = sockets.filter(\.isLive)
    #expect(live.count > 10 && live.count < 128)
    #expect(sockets.filter { !$0.isLive }.allSatisfy { $0.answer.hasPrefix("HTTP/1.1 503 ") })
    _ = try await backend.call("publishRealtimeEvent", Load.event("one", to: "user0"))
    #expect(try live[0].probe.frame().text.contains(#""eventId":"one""#))

    // Connections that say nothing, until nothing more can be accepted at all.
    let silent = try (0..<200).map { _ in try SocketProbe.connect(port: port) }
    #expect(silent.contains { $0.isClosed(patience: 2_000) })
    let pid = try #require(try await server.process.pid(of: "gateway"))
    let before = cpuTicks(of: pid)
    #expect(poll(nil, 0, 1_000) == 0)
    #expect(cpuTicks(of: pid) - before < sysconf(Int32(_SC_CLK_TCK)) / 2, "it spins")
    #expect(try await server.process.metric(shed) ?? 0 > 100)
    // The workers' links and pages of metrics have descriptors of their own.
    let scheduler = try #require(try await server.process.pid(of: "scheduler"))
    kill(scheduler, SIGKILL)
    try await server.process.wait(for: "the scheduler to be there again") {
      $0.instances(of: "scheduler").allSatisfy { $0.pid != nil && $0.pid != scheduler && $0.state == "ready" }
    }

    for probe in silent { probe.close() }
    try await waitUntil("calls go through again") {
      (try? await backend.call("publishRealtimeEvent", Load.event("two", to: "user0"))) != nil
    }
    #expect(try live[0].probe.frame().text.contains(#""eventId":"two""#))
    for attempt in live.dropFirst() { attempt.probe.close() }
    try await waitUntil("there is room again") {
      let again = try Attempt(port: port, token: server.token("late"))
      defer { again.probe.close() }
      return again.isLive
    }
    try await server.stop()
  }

  private let shed = #"avalo_connection_attempts_total{worker="gateway",slot="0",outcome="shed"}"#

  /// Of all its threads, user and system; fields 14 and 15 of /proc/PID/stat.
  private func cpuTicks(of pid: Int32) -> Int {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return 0 }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1024)
    let count = fread(&buffer, 1, buffer.count, file)
    let fields =
      String(decoding: buffer[..<count], as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
    return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
  }
}

/// One client that tries to become live.
private struct Attempt {
  let probe: SocketProbe
  let answer: String
  let isLive: Bool

  init(port: Int, token: String) throws {
    probe = try SocketProbe.connect(port: port)
    try probe.send(
      Array(
        """
        GET /ws HTTP/1.1\r
        Host: 127.0.0.1\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        \r\n
        """.utf8))
    answer = try probe.head()
    guard answer.hasPrefix("HTTP/1.1 101 ") else {
      isLive = false
      return
    }
    try probe.send(text: #"{"connect":{"token":"\#(token)"}}"#)
    isLive = try probe.frame().text.hasPrefix(#"{"ready":"#) && probe.frame().text.hasPrefix(#"{"live":"#)
  }
}

extension SocketProbe {
  /// Whether the other end has closed it: waits for that at most so many milliseconds.
  fileprivate func isClosed(patience: Int32) -> Bool {
    do {
      while true { _ = try take(1, patience) }
    } catch Failure.endOfStream {
      return true
    } catch {
      return error as? Failure == .reset
    }
  }
}
