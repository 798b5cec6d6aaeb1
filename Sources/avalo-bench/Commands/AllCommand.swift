import ArgumentParser
import Glibc

struct AllCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "all", abstract: "Runs a short standard set, and writes a page of its figures.")

  @Option(help: "The page to write, in Markdown.") var markdown: String?
  @Option(help: "Clients of connect and recover, and users of pairs and presence.") var clients = 10_000
  @Option(help: "Subscribers of fan-out.") var subscribers = 1_000
  @Option(help: "Seconds at each rate.") var seconds = 5.0
  @OptionGroup var common: CommonOptions

  func run() async throws {
    try await reportingErrors {
      let bench = try await common.bench()
      var reports: [Report] = []
      for step in steps {
        let report = try step.run(bench)
        if !common.json { print(ReportTables(report: report).text + "\n") }
        reports.append(report)
      }
      if common.json { print("[" + reports.map(\.jsonText).joined(separator: ",") + "]") }
      if let markdown { try write(page(reports), to: markdown) }
      if reports.contains(where: { !$0.complaints.isEmpty }) { throw ExitCode(BenchError.Kind.failed.rawValue) }
    }
  }

  private struct Step {
    var run: (Bench) throws(BenchError) -> Report
  }

  private var steps: [Step] {
    let pins =
      (common.pinClient.map { " --pin-client \($0)" } ?? "") + (common.pinServer.map { " --pin-server \($0)" } ?? "")
    func fanout(_ load: FanoutScenario.Load) -> FanoutScenario {
      FanoutScenario(
        subscribers: subscribers, load: load, seconds: seconds, payloadBytes: 128, publishers: 8, inFlight: 512)
    }
    func pairs(_ rate: Double?) -> PairsScenario {
      PairsScenario(users: clients, rate: rate, seconds: seconds, payloadBytes: 128, publishers: 16, inFlight: 512)
    }
    let connect = ConnectScenario(clients: clients, rate: 1_000, inFlight: 256, settleSeconds: 2, holdSeconds: 5)
    let rush = ConnectScenario(clients: clients, rate: nil, inFlight: 256, settleSeconds: 2, holdSeconds: 0)
    let recover = RecoverScenario(clients: clients, missedEvents: 1, inFlight: 4_000, payloadBytes: 128, publishers: 32)
    let presence = PresenceScenario(users: clients, watched: 50, rate: 1_000, seconds: seconds)
    func step(_ words: String, _ run: @escaping (Bench, String) throws(BenchError) -> Report) -> Step {
      Step { bench throws(BenchError) in
        // Names of its own, so that no step finds another's events.
        try run(bench.renamed(), "avalo-bench \(words)\(pins)")
      }
    }
    return [
      step("connect --clients \(clients) --rate 1000 --hold 5") { b, c throws(BenchError) in
        try connect.run(b, command: c)
      },
      step("connect --clients \(clients)") { b, c throws(BenchError) in try rush.run(b, command: c) },
      step("fanout --subscribers \(subscribers) --rate 100") { b, c throws(BenchError) in
        try fanout(.rate(100)).run(b, command: c)
      },
      step("fanout --subscribers \(subscribers) --rate 250 --knee") { b, c throws(BenchError) in
        try fanout(.knee(from: 250)).run(b, command: c)
      },
      step("pairs --users \(clients) --rate 1000") { b, c throws(BenchError) in try pairs(1_000).run(b, command: c) },
      step("pairs --users \(clients)") { b, c throws(BenchError) in try pairs(nil).run(b, command: c) },
      step("presence --users \(clients) --watched 50 --rate 1000") { b, c throws(BenchError) in
        try presence.run(b, command: c)
      },
      step("recover --clients \(clients)") { b, c throws(BenchError) in try recover.run(b, command: c) },
    ]
  }

  private func page(_ reports: [Report]) -> String {
    var lines = [
      "# Benchmarks", "",
      "Written by `make bench`; run it on your machine, figures of another say little. The server and the load client "
        + "run on one machine\(common.pinServer == nil ? "" : ", each on a core of its own"). The load client's own CPU stands "
        + "beside every figure: where it is near 100 %, it was the limit.",
      "",
      "Machine: \(MachineFacts.read().sentence).",
      "",
      "Latencies count from when a request was *due*, not from when it was sent, so a stall is charged in full. A "
        + "publish is answered when it is in the log; `lost` are accepted events that did not reach a connected client.",
      "",
    ]
    lines += reports.map { ReportTables(report: $0).markdown }
    return lines.joined(separator: "\n")
  }

  private func write(_ page: String, to path: String) throws {
    guard let file = fopen(path, "w") else {
      throw BenchError.usage("Cannot write \(path): \(String(cString: strerror(errno)))")
    }
    fputs(page, file)
    guard fclose(file) == 0 else {
      throw BenchError.failed("Cannot write \(path): \(String(cString: strerror(errno)))")
    }
  }
}
