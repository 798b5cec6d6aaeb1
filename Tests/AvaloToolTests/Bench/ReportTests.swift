import AvaloClient
import AvaloCore
import Testing

@testable import avalo_bench

@Suite struct ReportTests {
  private var report: Report {
    var report = Report(title: "Fan-out", command: "avalo-bench fanout", unit: "delivery")
    report.figure("deliveries_per_second", "deliveries", 1_234_567.8, "/s")
    var histogram = LoadEngine.histogram()
    for value in 1...1_000 { histogram.record(UInt64(value)) }
    report.latencies = [Report.Latency("delivery", "publish to client", histogram)]
    report.complaints = ["3 events were lost"]
    return report
  }

  @Test func forPeople() {
    let text = ReportTables(report: report).text
    #expect(text.contains("1 234 568 /s"))
    #expect(text.contains("0.500"))
    #expect(text.contains("WRONG: 3 events were lost"))
    #expect(ReportTables(report: report).markdown.contains("| deliveries | 1 234 568 /s |"))
  }

  @Test func forPrograms() throws {
    let json = try JSONText(validating: report.jsonText)
    json.read { view in
      #expect(view["ok"]?.boolean == false)
      #expect(view["figures"]?["deliveries_per_second"]?.double == 1_234_567.8)
      #expect(view["latencyMicroseconds"]?["delivery"]?["p50"]?.integer == 500)
    }
  }

  @Test func numbersAreReadable() {
    #expect(Numbers.text(0) == "0.00" && Numbers.text(9.994) == "9.99" && Numbers.text(1_000) == "1 000")
    #expect(Numbers.text(-0.5) == "-0.50" && Numbers.text(1_234_567, decimals: 0) == "1 234 567")
    #expect(Numbers.milliseconds(840) == "0.840" && Numbers.milliseconds(12_340) == "12.34")
    #expect(Numbers.bytes(512) == "512 B" && Numbers.bytes(20_480) == "20.0 KiB")
  }

  @Test func findsTheServersProcessesInTheStatus() throws {
    let status = try JSONText(
      validating: #"""
        {"pid":10,"workers":[{"name":"gateway","instances":[{"slot":0,"pid":11},{"slot":1,"pid":12}]},
        {"name":"scheduler","instances":[{"slot":0,"pid":null}]}]}
        """#)
    let found = ServerProcesses.processes(in: status).map { "\($0.name) \($0.pid)" }
    #expect(found == ["avalod 10", "gateway.0 11", "gateway.1 12"])
  }

  @Test func readsUrls() throws {
    #expect(try Target(url: "http://127.0.0.1:8480").authority == "127.0.0.1:8480")
    #expect(try Target(url: "ws://localhost:81/ws").authority == "127.0.0.1:81")
    for wrong in ["https://127.0.0.1", "http://example.com:80", "http://127.0.0.1:0", "http://127.0.0.1:a"] {
      #expect(throws: BenchError.self) { try Target(url: wrong) }
    }
  }
}
