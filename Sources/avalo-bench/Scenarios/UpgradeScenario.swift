import AvaloCore

/// N clients listen and events come while every worker's program is replaced: is anybody refused, is anything lost, and do
/// the clients come back no faster than the server says?
struct UpgradeScenario {
  var clients: Int
  /// Events a second, to one client after the other.
  var rate: Double
  /// The server's `drain.reconnects_per_second`.
  var reconnectsPerSecond: Int
  /// Before the upgrade, and after everybody is back.
  var restSeconds: Double
  var payloadBytes: Int
  var publishers: Int
  /// Says that it ended, whether well, and what it said.
  var upgrade: any Upgrade

  func run(_ bench: Bench, command: String) throws(BenchError) -> Report {
    let engine = try bench.engine(count: clients)
    let template = PublishTemplate(
      authority: bench.target.authority, apiKey: bench.apiKey, run: bench.run,
      destination: .inboxes(prefix: bench.userPrefix), payloadBytes: payloadBytes)
    try engine.openAll(perSecond: nil, inFlight: 256)
    // One request at a time on each, as most backends do: what the server's `Connection: close` is behind is answered.
    // Behind the clients: a connection that says nothing for 10 s is closed.
    let pool = try PublishPool(engine, template: template, connections: publishers, depth: 1, topics: clients)
    let before = bench.processes.processes.filter { $0.name != "avalod" }

    let returns = Returns { index in
      let client = engine.clients[index]
      return bench.greeting(
        index,
        position: client.isPlaced ? Position(epoch: Epoch(rawValue: client.epoch), offset: client.sequence.last) : nil)
    }
    engine.returns = returns
    // The engine would hold itself by its clients' greetings.
    defer { engine.returns = nil }
    rest(engine, pool)
    guard pool.accepted > 0 else {
      throw .failed(
        "Nothing that was published was accepted: \(pool.refusals.sentences.prefix(3).joined(separator: "; "))")
    }
    engine.resetFigures()

    let start = Clock.now()
    try upgrade.begin()
    var outcome: (isGood: Bool, words: String)?
    var answered: Nanoseconds = 0
    let deadline = start + Clock.nanoseconds(Limits.upgradeSeconds)
    pool.publish(engine, perSecond: rate, users: clients) {
      if outcome == nil, let ended = upgrade.outcome() { (outcome, answered) = (ended, Clock.now()) }
      if Clock.now() > deadline || outcome?.isGood == false { return true }
      return outcome != nil && returns.awaited == 0 && before.allSatisfy { !$0.isRunning }
    }
    let seconds = Double(Clock.now() - start) / 1e9
    rest(engine, pool)
    pool.settle(engine)
    _ = engine.run(atMost: Limits.drainSeconds) { engine.verdict { pool.heads[$0] }.lost == 0 }

    var report = Report(
      title:
        "Upgrade: \(Numbers.text(Double(clients))) clients, \(Numbers.text(rate)) events a second, every worker replaced",
      command: command, unit: "client")
    report.figure("clients", "clients live again", Double(engine.live))
    report.figure("sent_on", "clients sent on", Double(returns.sentOn))
    report.figure("cut", "connections cut without a word", Double(returns.cut.total))
    report.figure("refused", "connects refused", Double(engine.failures.total))
    report.figure("reconnects_per_second_max", "reconnects in the busiest second", Double(returns.perSecondMax), "/s")
    report.figure("reconnects_per_second_allowed", "reconnects allowed", Double(reconnectsPerSecond), "/s")
    report.figure("reload_seconds", "until the new programs served", Double(max(answered, start) - start) / 1e9, "s")
    report.figure("seconds", "until the old ones were gone and everybody was back", seconds, "s")
    report.figure("accepted", "events accepted", Double(pool.accepted))
    report.figure("publish_connections_renewed", "publishing connections renewed", Double(pool.renewed))
    report.add(engine.verdict { pool.heads[$0] })
    report.latencies = [
      Report.Latency("away", "disconnected, until live again", returns.away),
      Report.Latency("live", "return due to live", engine.liveLatency),
      Report.Latency("delivery", "publish due to client, those who were away included", engine.deliveryLatency),
      Report.Latency("accepted", "publish due to accepted", pool.acceptLatency),
    ]
    complain(&report, engine, pool, returns, outcome, before)
    return report
  }

  private func rest(_ engine: LoadEngine, _ pool: PublishPool) {
    let end = Clock.now() + Clock.nanoseconds(restSeconds)
    pool.publish(engine, perSecond: rate, users: clients) { Clock.now() >= end }
  }

  private func complain(
    _ report: inout Report, _ engine: LoadEngine, _ pool: PublishPool, _ returns: Returns,
    _ outcome: (isGood: Bool, words: String)?, _ before: [ServerProcesses.Process]
  ) {
    switch outcome {
    case nil: report.complaints.append("the upgrade did not end within \(Int(Limits.upgradeSeconds)) s")
    case (false, let words)?: report.complaints.append("the upgrade failed: \(words)")
    case (true, _)?: break
    }
    let old = before.filter(\.isRunning)
    if !old.isEmpty { report.complaints.append("\(old.map(\.name).joined(separator: ", ")): not replaced") }
    if engine.live < clients { report.complaints.append("\(clients - engine.live) clients are not live") }
    if returns.perSecondMax > reconnectsPerSecond {
      report.complaints.append(
        "\(returns.perSecondMax) clients came back in one second; \(reconnectsPerSecond) are allowed")
    }
    report.complain(pool.refusals, "publishes refused")
    report.complain(engine.failures, "connects refused")
    report.complain(returns.cut, "connections were cut without a word")
    report.complain(engine.drops, "other troubles")
  }
}
