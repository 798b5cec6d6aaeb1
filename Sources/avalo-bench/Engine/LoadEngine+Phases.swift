/// What the clients saw, held against what was published.
struct Verdict {
  var lost: UInt64 = 0
  var duplicates: UInt64 = 0
  var reordered: UInt64 = 0
  /// Said by the server not to come.
  var told: UInt64 = 0

  static func - (a: Verdict, b: Verdict) -> Verdict {
    // A step's loss may be less than none: what the step before it lost came late.
    Verdict(
      lost: a.lost - min(a.lost, b.lost), duplicates: a.duplicates - b.duplicates, reordered: a.reordered - b.reordered,
      told: a.told - b.told)
  }
}

extension LoadEngine {
  /// Opens every client that is not open, at a rate or with so many on their way at once, and waits until all are live.
  /// Throws when they do not become live; single failures are counted instead.
  func openAll(perSecond rate: Double?, inFlight: Int) throws(BenchError) {
    var waiting = (0..<count).filter { clients[$0].phase == .closed }[...]
    let failedBefore = failures.total
    let wanted = waiting.count
    var pace = Pace(start: Clock.now(), perSecond: rate ?? 1)
    var reached = live
    var progress = Clock.now()
    while !waiting.isEmpty || opening > 0 {
      var now = Clock.now()
      // Few at a time, so that those on their way are served meanwhile.
      var burst = 256
      while let index = waiting.first, opening < inFlight, burst > 0 {
        if rate != nil, pace.next > now { break }
        open(index, due: rate == nil ? now : pace.next)
        pace.issued += 1
        burst -= 1
        waiting.removeFirst()
      }
      let isHeldBack = opening >= inFlight || waiting.isEmpty
      turn(until: isHeldBack ? now + 10_000_000 : rate == nil ? now : pace.next)
      now = Clock.now()
      if live + failures.total - failedBefore != reached {
        (reached, progress) = (live + failures.total - failedBefore, now)
      }
      if failures.total - failedBefore >= max(100, wanted / 2) || (live == 0 && failures.total - failedBefore == wanted)
      {
        throw .unavailable(
          "\(failures.total - failedBefore) of \(wanted) clients failed: \(failures.sentences.prefix(3).joined(separator: "; ")). "
            + "Is avalod running at \(target.authority), with these keys?")
      }
      if now - progress > Clock.nanoseconds(Limits.liveSeconds) {
        throw .failed(
          "\(opening) clients did not become live within \(Int(Limits.liveSeconds)) s; \(live) are"
            + (failures.total > 0 ? "; \(failures.sentences.prefix(3).joined(separator: "; "))" : ""))
      }
    }
  }

  /// Lets time pass.
  func run(seconds: Double) {
    let end = Clock.now() + Clock.nanoseconds(seconds)
    while Clock.now() < end { turn(until: end) }
  }

  /// Lets time pass until `isDone`, for at most so long; says whether it was.
  func run(atMost seconds: Double, until isDone: () -> Bool) -> Bool {
    let end = Clock.now() + Clock.nanoseconds(seconds)
    while !isDone() {
      if Clock.now() >= end { return false }
      turn(until: min(end, Clock.now() + 5_000_000))
    }
    return true
  }

  /// Sums up what the clients saw. `head` is the highest offset accepted for a client's topic.
  func verdict(head: (Int) -> UInt64) -> Verdict {
    var verdict = Verdict()
    for index in 0..<count {
      let sequence = clients[index].sequence
      let head = head(index)
      verdict.lost += sequence.missing + (head > sequence.last ? head - sequence.last : 0)
      verdict.duplicates += sequence.duplicates
      verdict.reordered += sequence.reordered
      verdict.told += sequence.told
    }
    return verdict
  }
}

extension PublishPool {
  /// Publishes at a rate for so long, to users `0..<users` in turn. Requests that are late keep their own time.
  func publish(_ engine: LoadEngine, perSecond rate: Double, seconds: Double, users: Int, from first: Int = 0) {
    var pace = Pace(start: Clock.now(), perSecond: rate)
    let total = max(1, Int(rate * seconds))
    while pace.issued < total, !isSpoilt {
      let now = Clock.now()
      let due = min(total, pace.due(at: now))
      while pace.issued < due, publish(user: (first + pace.issued) % users, due: pace.next) { pace.issued += 1 }
      flush()
      // Held back, or ahead of time: either way something will happen.
      engine.turn(until: pace.issued < due ? now + 1_000_000 : pace.next)
    }
  }

  /// Publishes at a rate until `isDone`, to users `0..<users` in turn.
  func publish(_ engine: LoadEngine, perSecond rate: Double, users: Int, until isDone: () -> Bool) {
    var pace = Pace(start: Clock.now(), perSecond: rate)
    while !isDone(), !isSpoilt {
      let now = Clock.now()
      let due = pace.due(at: now)
      while pace.issued < due, publish(user: pace.issued % users, due: pace.next) { pace.issued += 1 }
      flush()
      engine.turn(until: pace.issued < due ? now + 1_000_000 : pace.next)
    }
  }

  /// Publishes as much as is answered, with at most `inFlight` on their way, for so long or so many.
  func publishMax(_ engine: LoadEngine, inFlight limit: Int, seconds: Double, count: Int = .max, users: Int) {
    let end = Clock.now() + Clock.nanoseconds(seconds)
    var issued = 0
    while issued < count, !isSpoilt {
      let now = Clock.now()
      if now >= end { break }
      while issued < count, inFlight < limit, publish(user: issued % users, due: now) { issued += 1 }
      flush()
      engine.turn(until: end)
    }
  }

  /// Waits for the answers that are still on their way.
  func settle(_ engine: LoadEngine) { _ = engine.run(atMost: Limits.drainSeconds) { self.inFlight == 0 } }

  private var isSpoilt: Bool { refusals.total >= Limits.publishFailuresMax }
}
