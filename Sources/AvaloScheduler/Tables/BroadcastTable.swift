import AvaloStore

/// The broadcasts that are not finished: those whose recipients are coming, and those that are served. What is here is
/// what the log has; after a transaction that failed it is made anew from it.
struct BroadcastTable {
  struct Job {
    var row: StoredBroadcast
    /// When a part came last, monotonic milliseconds.
    var touched: Int64
    /// The event with its expiry, once it is served.
    var record: [UInt8]?
    /// The part that is being served.
    var part: (first: UInt32, users: [String])?

    /// The number of the recipient whose turn it is.
    var next: UInt32 { row.done + row.failed }
  }

  private(set) var jobs: [UInt64: Job] = [:]
  /// Those that are served, in turns: the first is the next.
  private(set) var queue: [UInt64] = []

  init() {}

  /// - `now`: monotonic milliseconds.
  init(_ log: any EventLog, now: Int64) throws(LogError) {
    for row in try log.unfinishedBroadcasts() { put(Job(row: row, touched: now)) }
  }

  var count: Int { jobs.count }
  var isServing: Bool { !queue.isEmpty }
  subscript(id: UInt64) -> Job? { jobs[id] }

  /// Adds a job or changes it; one that is finished leaves.
  mutating func put(_ job: Job) {
    let id = job.row.id
    switch job.row.state {
    case .receiving: jobs[id] = job
    case .running:
      if jobs[id]?.row.state != .running { queue.append(id) }
      jobs[id] = job
    case .finished: remove(id)
    }
  }

  mutating func remove(_ id: UInt64) {
    jobs[id] = nil
    queue.removeAll { $0 == id }
  }

  /// The one whose turn it is; the others come before it the next time.
  mutating func turn() -> Job? {
    guard !queue.isEmpty else { return nil }
    let id = queue.removeFirst()
    queue.append(id)
    return jobs[id]
  }

  /// Whose recipients have stopped coming.
  func abandoned(at now: Int64) -> [UInt64] {
    jobs.values.filter { $0.row.state == .receiving && now - $0.touched >= SchedulerLimits.broadcastPartMilliseconds }
      .map(\.row.id)
  }
}
