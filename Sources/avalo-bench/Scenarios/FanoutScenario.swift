/// One topic, N subscribers: what does a delivery cost, how late is it, and where is the knee?
struct FanoutScenario {
  var subscribers: Int
  var load: Load
  var seconds: Double
  var payloadBytes: Int
  var publishers: Int
  var inFlight: Int

  enum Load {
    /// Messages a second.
    case rate(Double)
    /// The highest rate that is delivered with p99 ≤ 100 ms and without loss, begun at this one.
    case knee(from: Double)
  }

  static let chat = "bench"
  static let latencyMax: UInt64 = 100_000
  private static let refinements = 4

  /// One rate, held for a while.
  private struct Step {
    var rate: Double
    var report: Report
    var deliveriesPerSecond: Double
    var p99: UInt64
    var verdict: Verdict
    /// Whether the publishers and the server kept to the rate.
    var keptUp: Bool

    var isGood: Bool { keptUp && verdict.lost == 0 && p99 <= FanoutScenario.latencyMax }
  }

  func run(_ bench: Bench, command: String) throws(BenchError) -> Report {
    let engine = try bench.engine(count: subscribers, chat: FanoutScenario.chat)
    let template = PublishTemplate(
      authority: bench.target.authority, apiKey: bench.apiKey, run: bench.run,
      destination: .topic("chat:" + FanoutScenario.chat), payloadBytes: payloadBytes)
    let pool = try PublishPool(
      engine, template: template, connections: publishers, depth: max(1, inFlight / publishers), topics: 1)
    try engine.openAll(perSecond: nil, inFlight: 256)
    try warmUp(engine, pool)
    let step: Step
    switch load {
    case .rate(let rate):
      step = try hold(rate, bench, engine, pool, command)
    case .knee(let rate):
      step = try searchKnee(from: rate, bench, engine, pool, command)
    }
    var report = step.report
    report.complain(engine.failures, "clients failed")
    report.complain(engine.drops, "connections were dropped")
    return report
  }

  /// The first messages pay for what later ones find ready; they are checked, not measured.
  private func warmUp(_ engine: LoadEngine, _ pool: PublishPool) throws(BenchError) {
    pool.publish(engine, perSecond: 50, seconds: 0.5, users: 1)
    pool.settle(engine)
    guard pool.accepted > 0 else {
      throw .failed(
        "Nothing that was published was accepted: \(pool.refusals.sentences.prefix(3).joined(separator: "; "))")
    }
    _ = engine.run(atMost: 5) { engine.received >= UInt64(pool.accepted * subscribers) }
  }

  private func hold(
    _ rate: Double, _ bench: Bench, _ engine: LoadEngine, _ pool: PublishPool, _ command: String
  ) throws(BenchError) -> Step {
    let before = engine.verdict { _ in 0 }
    engine.resetFigures()
    pool.resetFigures()
    var report = Report(
      title: "Fan-out: 1 topic × \(Numbers.text(Double(subscribers))) subscribers, \(payloadBytes)-byte payloads",
      command: command, unit: "delivery")
    let phase = Measured(bench.processes)
    pool.publish(engine, perSecond: rate, seconds: seconds, users: 1)
    let publishing = phase.seconds
    pool.settle(engine)
    let expected = { UInt64(pool.accepted * subscribers) }
    _ = engine.run(atMost: Limits.drainSeconds) { engine.received >= expected() }
    let all = phase.seconds
    try phase.end(&report, units: Double(max(1, engine.received)))
    let verdict = engine.verdict { _ in pool.heads[0] } - before
    let delivery = Report.Latency("delivery", "publish due to client", engine.deliveryLatency)
    report.figure("subscribers", "subscribers", Double(subscribers))
    report.figure("rate", "messages asked for", rate, "/s")
    report.figure("published_per_second", "messages accepted", Double(pool.accepted) / publishing, "/s")
    report.figure("deliveries_per_second", "deliveries", Double(engine.received) / all, "/s")
    report.add(verdict)
    report.latencies = [delivery, Report.Latency("accepted", "publish due to accepted", pool.acceptLatency)]
    report.complain(pool.refusals, "publishes refused")
    return Step(
      rate: rate, report: report, deliveriesPerSecond: Double(engine.received) / all, p99: delivery.p99,
      verdict: verdict, keptUp: Double(pool.accepted) >= 0.95 * rate * publishing && publishing < seconds * 1.1)
  }

  /// Doubles until it breaks, then narrows down.
  private func searchKnee(
    from first: Double, _ bench: Bench, _ engine: LoadEngine, _ pool: PublishPool, _ command: String
  ) throws(BenchError) -> Step {
    var best: Step?
    var tried: [String] = []
    var good = 0.0
    var bad = Double.infinity
    var refinements = 0
    var rate = first
    while refinements <= FanoutScenario.refinements {
      let step = try hold(rate, bench, engine, pool, command)
      tried.append(
        "\(Numbers.text(rate, decimals: 0)) messages/s: \(Numbers.text(step.deliveriesPerSecond, decimals: 0)) deliveries/s, "
          + "p99 \(Numbers.milliseconds(step.p99)) ms\(step.isGood ? "" : step.keptUp ? "; too late" : "; not kept up")"
      )
      if step.isGood {
        (good, best) = (rate, step)
      } else {
        bad = rate
      }
      if bad.isFinite { refinements += 1 }
      if good == 0, bad < 1 { break }
      rate = bad.isFinite ? (good > 0 ? (good + bad) / 2 : bad / 4) : good * 2
    }
    guard var step = best else {
      throw .failed("No rate was delivered with p99 ≤ 100 ms and without loss: \(tried.joined(separator: "; "))")
    }
    step.report.title += ", the knee"
    step.report.notes += ["the knee is the highest rate with p99 ≤ 100 ms and nothing lost; tried:"] + tried
    return step
  }
}

extension Report {
  /// What must be none, and what was said to be missing.
  mutating func add(_ verdict: Verdict) {
    figure("lost", "lost", Double(verdict.lost))
    figure("duplicated", "duplicated", Double(verdict.duplicates))
    figure("reordered", "reordered", Double(verdict.reordered))
    if verdict.lost > 0 { complaints.append("\(verdict.lost) accepted events did not arrive") }
    if verdict.duplicates > 0 { complaints.append("\(verdict.duplicates) events came twice on one connection") }
    if verdict.reordered > 0 { complaints.append("\(verdict.reordered) events came out of order") }
    if verdict.told > 0 { notes.append("\(verdict.told) offsets were said to be expired or evicted") }
  }
}
