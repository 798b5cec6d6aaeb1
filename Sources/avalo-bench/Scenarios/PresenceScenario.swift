/// N users, each with a connection, watch K others each; C times a second one of them says how they are. How late is that
/// at each who watches, and what does telling one of them cost?
struct PresenceScenario {
  var users: Int
  /// How many others each watches; as many watch each.
  var watched: Int
  /// Changes a second, of one user after the other.
  var rate: Double
  var seconds: Double
  /// For what was said to arrive.
  var drainSeconds = Limits.drainSeconds

  func run(_ bench: Bench, command: String) throws(BenchError) -> Report {
    guard watched >= 1, watched < users else {
      throw .usage("--watched must be 1 to \(users - 1): so many others are there to be watched")
    }
    let ring = WatchRing(users: users, watched: watched)
    let engine = try bench.engine(count: users, watching: ring.watched)
    let watch = PresenceWatch(ring, userPrefix: bench.userPrefix)
    engine.presence = watch
    try engine.openAll(perSecond: nil, inFlight: 256)
    try warmUp(engine, watch)

    watch.resetFigures()
    var report = Report(
      title: "Presence: \(Numbers.text(Double(users))) users watch \(watched) others each, "
        + "\(Numbers.text(rate)) changes a second",
      command: command, unit: "notification")
    let phase = Measured(bench.processes)
    change(engine, watch, count: max(1, Int(rate * seconds)))
    let changing = phase.seconds
    _ = engine.run(atMost: drainSeconds) { watch.isSettled }
    let all = phase.seconds
    try phase.end(&report, units: Double(max(1, watch.notified)))

    report.figure("users", "users", Double(users))
    report.figure("watched", "watched by each", Double(watched))
    report.figure("rate", "changes asked for", rate, "/s")
    report.figure("changes_per_second", "changes accepted", Double(watch.changes) / changing, "/s")
    report.figure("notifications", "notifications", Double(watch.notified))
    report.figure("notifications_per_second", "notifications a second", Double(watch.notified) / all, "/s")
    report.figure("server_cpu_us", "CPU-µs a notification, all server processes", serverCost(report))
    add(watch, &report)
    report.latencies = [
      Report.Latency("arrival", "change due to watcher", watch.arrivalLatency),
      Report.Latency("answered", "change due to answered", watch.answerLatency),
    ]
    report.complain(engine.failures, "clients failed")
    report.complain(engine.drops, "connections were dropped")
    return report
  }

  /// Everybody says something once, so that every watcher knows of everybody what the first measured change follows.
  private func warmUp(_ engine: LoadEngine, _ watch: PresenceWatch) throws(BenchError) {
    change(engine, watch, count: users)
    let isSettled = engine.run(atMost: drainSeconds) { watch.isSettled }
    guard watch.refusals.total == 0 else {
      throw .failed("Changes were refused: \(watch.refusals.sentences.prefix(3).joined(separator: "; "))")
    }
    guard isSettled, watch.lost == 0 else {
      throw .failed(
        "Before anything was measured, \(watch.lost) watchers did not hear of a user, "
          + "and \(watch.unanswered) changes were not answered")
    }
  }

  private func change(_ engine: LoadEngine, _ watch: PresenceWatch, count: Int) {
    var pace = Pace(start: Clock.now(), perSecond: rate)
    while pace.issued < count {
      let due = min(count, pace.due(at: Clock.now()))
      while pace.issued < due {
        let user = pace.issued % users
        // Of one whose connection was dropped, which is told as such.
        if engine.clients[user].phase == .live {
          watch.change(user, due: pace.next).withUnsafeBytes { engine.send(user, $0) }
        }
        pace.issued += 1
      }
      engine.turn(until: pace.next)
    }
  }

  private func add(_ watch: PresenceWatch, _ report: inout Report) {
    let lost = watch.lost
    report.figure("lost", "watchers that do not know a user's last state", Double(lost))
    report.figure("coalesced", "states that a newer one took the place of", Double(watch.coalesced))
    report.figure("duplicated", "duplicated", Double(watch.duplicates))
    report.figure("reordered", "reordered", Double(watch.reordered))
    if lost > 0 { report.complaints.append("\(lost) watchers do not know a user's last state") }
    if watch.duplicates > 0 { report.complaints.append("\(watch.duplicates) states came twice on one connection") }
    if watch.reordered > 0 { report.complaints.append("\(watch.reordered) states came out of order") }
    if watch.unanswered > 0 { report.complaints.append("\(watch.unanswered) changes got no answer") }
    report.complain(watch.refusals, "changes refused")
  }

  private func serverCost(_ report: Report) -> Double {
    report.processes.filter { $0.pid > 0 }.reduce(0) { $0 + $1.cpuMicrosecondsPerUnit }
  }
}
