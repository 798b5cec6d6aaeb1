import AvaloCore

/// N clients lose their connection at once, events come meanwhile, and all come back at once with their positions: how
/// long until all are live again, and is anything lost?
struct RecoverScenario {
  var clients: Int
  /// Events for each client while it is away.
  var missedEvents: Int
  /// Clients on their way at once; everything at once would measure the kernel's backlog.
  var inFlight: Int
  var payloadBytes: Int
  var publishers: Int

  func run(_ bench: Bench, command: String) throws(BenchError) -> Report {
    let engine = try bench.engine(count: clients)
    let template = PublishTemplate(
      authority: bench.target.authority, apiKey: bench.apiKey, run: bench.run,
      destination: .inboxes(prefix: bench.userPrefix), payloadBytes: payloadBytes)
    let pool = try PublishPool(engine, template: template, connections: publishers, depth: 16, topics: clients)
    try engine.openAll(perSecond: nil, inFlight: 256)
    try publishToAll(engine, pool, times: 1)
    guard engine.run(atMost: Limits.drainSeconds, until: { engine.received >= UInt64(pool.accepted) }) else {
      throw .failed("Only \(engine.received) of \(pool.accepted) events came before the cut")
    }
    acknowledgeAll(bench, engine)
    engine.run(seconds: 0.5)

    engine.cutAll()
    try publishToAll(engine, pool, times: missedEvents)
    // Before the clock runs: signing is not what is measured.
    engine.greetings = bench.greetings(count: clients) { index in
      let client = engine.clients[index]
      return Position(epoch: Epoch(rawValue: client.epoch), offset: client.sequence.last)
    }
    engine.resetFigures()

    var report = Report(
      title: "Recover: \(Numbers.text(Double(clients))) clients come back at once, \(missedEvents) missed events each",
      command: command, unit: "client")
    let phase = Measured(bench.processes)
    try engine.openAll(perSecond: nil, inFlight: inFlight)
    let seconds = phase.seconds
    try phase.end(&report, units: Double(clients))
    let missed = UInt64(clients * missedEvents)
    _ = engine.run(atMost: Limits.drainSeconds) { engine.received >= missed }

    report.figure("clients", "clients live again", Double(engine.live))
    report.figure("seconds", "until the last was live", seconds, "s")
    report.figure("connects_per_second", "clients", Double(engine.live) / seconds, "/s")
    report.figure("replayed", "events replayed", Double(engine.received))
    report.add(engine.verdict { pool.heads[$0] })
    report.latencies = [
      Report.Latency("ready", "begun to ready", engine.readyLatency),
      Report.Latency("live", "begun to live", engine.liveLatency),
    ]
    report.complain(pool.refusals, "publishes refused")
    report.complain(engine.failures, "clients failed")
    report.complain(engine.drops, "connections were dropped")
    return report
  }

  private func publishToAll(_ engine: LoadEngine, _ pool: PublishPool, times: Int) throws(BenchError) {
    let before = pool.accepted
    let wanted = clients * times
    pool.publishMax(engine, inFlight: 512, seconds: 600, count: wanted, users: clients)
    pool.settle(engine)
    guard pool.accepted - before == wanted else {
      throw .failed(
        "Only \(pool.accepted - before) of \(wanted) publishes were accepted: "
          + pool.refusals.sentences.prefix(3).joined(separator: "; "))
    }
  }

  private func acknowledgeAll(_ bench: Bench, _ engine: LoadEngine) {
    for index in 0..<clients where engine.clients[index].phase == .live {
      let client = engine.clients[index]
      let epoch = Epoch(rawValue: client.epoch)
      let ack = #"{"ack":{"topic":"user:\#(bench.user(index))","epoch":"\#(epoch)","offset":\#(client.sequence.last)}}"#
      ClientFrame.text(ack).withUnsafeBytes { engine.send(index, $0) }
    }
  }
}
