/// N clients connect, authenticate, subscribe to their inbox, become live, and stay: what does it take, and what do they
/// cost while they are idle?
struct ConnectScenario {
  var clients: Int
  /// Connects a second; `nil`: as fast as they are answered.
  var rate: Double?
  var inFlight: Int
  /// How long they stay before memory is looked at, and how long their idling is measured.
  var settleSeconds: Double
  var holdSeconds: Double

  func run(_ bench: Bench, command: String) throws(BenchError) -> Report {
    let engine = try bench.engine(count: clients)
    var report = Report(
      title: "Connect: \(Numbers.text(Double(clients))) clients"
        + (rate.map { " at \(Numbers.text($0)) a second" } ?? " as fast as they are answered"),
      command: command, unit: "connect")
    let phase = Measured(bench.processes)
    try engine.openAll(perSecond: rate, inFlight: inFlight)
    let seconds = phase.seconds
    // Before they settle, so that only the connecting is charged.
    var connecting = report
    try phase.end(&connecting, units: Double(clients))
    engine.run(seconds: settleSeconds)
    try phase.end(&report, units: Double(clients), memory: true)
    report.processes = zip(report.processes, connecting.processes).map { settled, connected in
      var process = settled
      process.cpuShare = connected.cpuShare
      process.cpuMicrosecondsPerUnit = connected.cpuMicrosecondsPerUnit
      return process
    }
    report.figure("clients", "clients live", Double(engine.live))
    report.figure("connects_per_second", "connects to live", Double(engine.live) / seconds, "/s")
    let grown = report.processes.compactMap(\.pssBytesPerUnit).reduce(0, +)
    report.figure("pss_bytes_per_connection", "memory a connection, all server processes (Pss)", grown, "B")
    report.latencies = [
      Report.Latency("ready", "due to ready", engine.readyLatency),
      Report.Latency("live", "due to live", engine.liveLatency),
    ]
    if holdSeconds > 0 { try hold(bench, engine, &report) }
    report.complain(engine.failures, "clients failed")
    report.complain(engine.drops, "connections were dropped")
    return report
  }

  private func hold(_ bench: Bench, _ engine: LoadEngine, _ report: inout Report) throws(BenchError) {
    var idle = report
    idle.processes = []
    let phase = Measured(bench.processes)
    engine.run(seconds: holdSeconds)
    try phase.end(&idle, units: Double(engine.live))
    for process in idle.processes where process.pid > 0 {
      report.notes.append(
        "\(process.name) used \(Numbers.text(process.cpuShare * 100, decimals: 2)) % of a core while the clients were idle"
      )
    }
  }
}
