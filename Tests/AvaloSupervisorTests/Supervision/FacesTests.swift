import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

/// What monitoring and operators are answered.
@Suite(.serialized) struct FacesTests: ScriptWorkers {
  let folder = TestFolder()

  @Test func onePageHasAllWorkersSeries() async throws {
    let server = try await start([
      "workers.d/talking.yaml": try manifest(
        "talking", Scripts.talking, "metrics: true\ninstances: 2\nstatus: [{series: jobs_total, label: jobs}]"),
      "workers.d/silent.yaml": try manifest("silent", Scripts.plain, "metrics: true"),
      "workers.d/plain.yaml": try manifest("plain"),
    ])
    let started = TestProcess.now
    let page = try await server.metrics()
    // The silent one is waited for as long as is said, not longer.
    #expect(TestProcess.now - started < 20_000_000_000)
    #expect(
      page.contains(
        """
        # HELP jobs_total Jobs done.
        # TYPE jobs_total counter
        jobs_total{worker="talking",slot="0",kind="a"} 5000
        jobs_total{worker="talking",slot="0",kind="b"} 1234
        jobs_total{worker="talking",slot="1",kind="a"} 5000
        jobs_total{worker="talking",slot="1",kind="b"} 1234

        """))
    #expect(page.contains("avalo_worker_scrape_success{worker=\"talking\",slot=\"1\"} 1\n"))
    #expect(page.contains("avalo_worker_scrape_success{worker=\"silent\",slot=\"0\"} 0\n"))
    #expect(!page.contains("avalo_worker_scrape_success{worker=\"plain\""))
    for series in ["resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds", "ready_seconds"] {
      #expect(page.contains("avalo_worker_\(series){worker=\"plain\",slot=\"0\"} "))
    }
    for series in ["avalo_memory_limit_bytes ", "avalo_memory_used_bytes ", "avalo_reload_total{result=\"failure\"} 0"]
    {
      #expect(page.contains("\n\(series)"))
    }
    try await server.wait(for: "the sum in the line") { $0.status == "4 workers, 12 468 jobs" }
    // A page that is none costs its own worker only.
    try folder.write("", to: "state/broken")
    let after = try await server.metrics()
    #expect(!after.contains("jobs_total"))
    #expect(after.contains("avalo_worker_scrape_success{worker=\"talking\",slot=\"0\"} 0\n"))
    try await server.stop()
  }

  @Test func requestsAreForwardedUnread() async throws {
    let server = try await start([
      "workers.d/talking.yaml": try manifest("talking", Scripts.talking, "metrics: true\ninstances: 2"),
      "workers.d/plain.yaml": try manifest("plain"),
    ])
    let answer = try await server.control("POST", "/workers/talking/users/7?x=%20y&z", body: "{\"a\":1}")
    #expect(answer.status == 200)
    #expect(answer.body == "POST /users/7?x=%20y&z {\"a\":1} at 0\n")
    #expect(try await server.control("GET", "/workers/talking.1/x").body == "GET /x  at 1\n")
    #expect(try await server.control("DELETE", "/workers/talking.1").body == "DELETE /  at 1\n")
    #expect(try await server.control("GET", "/workers/talking/teapot").status == 418)
    let unknown = try await server.control("GET", "/workers/talkin/x")
    #expect(unknown.status == 404)
    #expect(unknown.body == "there is no worker \"talkin\"; did you mean \"talking\"?\n")
    #expect(try await server.control("GET", "/workers/plain/x").status == 404)
    #expect(try await server.control("GET", "/nothing").status == 404)
    #expect(try await server.control("GET", "/reload").status == 405)

    let pids = try await server.status().instances(of: "talking").compactMap(\.pid)
    #expect(try await server.control("POST", "/workers/talking.1/restart").body == "restarted\n")
    var now = try await server.status().instances(of: "talking").compactMap(\.pid)
    #expect(now[0] == pids[0] && now[1] != pids[1])
    #expect(try await server.control("POST", "/workers/talking/restart").status == 200)
    now = try await server.status().instances(of: "talking").compactMap(\.pid)
    #expect(now[0] != pids[0])
    #expect(try await server.control("GET", "/workers/talking/restart").status == 405)
    try await server.stop()
  }

  @Test(.enabled(if: Needs.tool("promtool"), "needs promtool"))
  func theMergedPageSatisfiesPromtool() async throws {
    let promtool = try #require(Needs.path(of: "promtool"))
    let server = try await start([
      "workers.d/talking.yaml": try manifest("talking", Scripts.talking, "metrics: true\ninstances: 2")
    ])
    try folder.write(try await server.metrics(), to: "page.txt")
    let check = try await TestProcess.start("/bin/sh", ["-c", "\(promtool) check metrics < \(folder.path)/page.txt"])
    #expect(try await check.ending() == .exit(0), "\(check.output)")
    try await server.stop()
  }

  @Test func theLogLevelChangesWhileTheyRun() async throws {
    let server = try await start([
      "workers.d/talking.yaml": try manifest("talking", Scripts.talking, "metrics: true"),
      "workers.d/plain.yaml": try manifest("plain"),
    ])
    #expect(try await server.control("GET", "/log-level").body == "info\n")
    #expect(try await server.control("PUT", "/log-level", body: "loud").status == 400)
    #expect(try await server.control("PUT", "/log-level", body: "debug").body == "debug\n")
    try await server.process.waitForOutput("asked PUT /log-level debug")
    // A reload sets what the configuration says, if that changed.
    try folder.write("log: {level: error}", to: "config/avalo.yaml")
    #expect(try await server.control("POST", "/reload").status == 200)
    try await server.process.waitForOutput("asked PUT /log-level error")
    #expect(try await server.control("GET", "/log-level").body == "error\n")
    try await server.stop()
  }
}
