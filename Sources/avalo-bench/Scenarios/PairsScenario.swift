/// N users, each with a connection; events to one user at a time, as chats are. What does an event cost from a backend's
/// publish to its client, and how many are kept and delivered a second?
struct PairsScenario {
  var users: Int
  /// Events a second; `nil`: as many as are answered with `inFlight` on their way.
  var rate: Double?
  var seconds: Double
  var payloadBytes: Int
  var publishers: Int
  var inFlight: Int
  /// For what was published to arrive.
  var drainSeconds = Limits.drainSeconds

  func run(_ bench: Bench, command: String) throws(BenchError) -> Report {
    let engine = try bench.engine(count: users)
    let template = PublishTemplate(
      authority: bench.target.authority, apiKey: bench.apiKey, run: bench.run,
      destination: .inboxes(prefix: bench.userPrefix), payloadBytes: payloadBytes)
    let pool = try PublishPool(
      engine, template: template, connections: publishers, depth: max(1, (inFlight + publishers - 1) / publishers),
      topics: users)
    try engine.openAll(perSecond: nil, inFlight: 256)
    // What follows a rush of connects (the presence worker writes them down, tables grow) is that scenario's matter.
    pool.publish(engine, perSecond: rate ?? 200, seconds: Limits.warmUpSeconds, users: users)
    pool.settle(engine)
    guard pool.accepted > 0 else {
      throw .failed(
        "Nothing that was published was accepted: \(pool.refusals.sentences.prefix(3).joined(separator: "; "))")
    }
    _ = engine.run(atMost: drainSeconds) { engine.received >= UInt64(pool.accepted) }

    engine.resetFigures()
    pool.resetFigures()
    var report = Report(
      title: "Pairs: events to \(Numbers.text(Double(users))) users one at a time, "
        + (rate.map { "\(Numbers.text($0)) a second" } ?? "as many as are answered, \(inFlight) on their way"),
      command: command, unit: "event")
    let phase = Measured(bench.processes)
    if let rate {
      pool.publish(engine, perSecond: rate, seconds: seconds, users: users)
    } else {
      pool.publishMax(engine, inFlight: inFlight, seconds: seconds, users: users)
    }
    let publishing = phase.seconds
    pool.settle(engine)
    _ = engine.run(atMost: drainSeconds) { engine.received >= UInt64(pool.accepted) }
    try phase.end(&report, units: Double(max(1, pool.accepted)))

    report.figure("users", "users", Double(users))
    if let rate { report.figure("rate", "events asked for", rate, "/s") }
    report.figure("published_per_second", "events accepted", Double(pool.accepted) / publishing, "/s")
    report.figure("deliveries", "events delivered", Double(engine.received))
    report.add(engine.verdict { pool.heads[$0] })
    report.latencies = [
      Report.Latency("delivery", "publish due to client", engine.deliveryLatency),
      Report.Latency("accepted", "publish due to accepted", pool.acceptLatency),
    ]
    if pool.unanswered > 0 {
      report.notes.append("\(pool.unanswered) publishes got no answer: kept or not, nobody knows")
    }
    report.complain(pool.refusals, "publishes refused")
    report.complain(engine.failures, "clients failed")
    report.complain(engine.drops, "connections were dropped")
    return report
  }
}
