import AvaloCore
import AvaloStore
import AvaloWire

/// Who asked: a link's place, or -1 when it is gone, and the request's correlation.
struct Origin {
  var link: Int32
  var correlation: UInt32
}

/// What is done where a commit has just ended.
enum BoundaryWork {
  case watch(LinkState, UInt32, ArraySlice<Watch.Entry>)
  case unwatch(LinkState, UInt32, [UInt32])
  case latestSeen(LinkState, UInt32, UInt64)
}

/// An appended event on its way to those who watch its topic.
struct Delivery {
  var topic: Int32
  /// Place of its record in the turn.
  var record: Int32
  var offset: UInt64
  var priority: Priority
}

/// What the running turn has gathered.
struct Turn {
  var isOpen = false
  var hasWrites = false
  /// Requests that get an answer when the transaction is committed.
  var requests: [Origin] = []
  /// Requests whose transaction failed.
  var lost: [Origin] = []
  var records: [[UInt8]] = []
  var deliveries: [Delivery] = []
  var receipts: [SchedulerCore.Receipt] = []
  var boundary: [BoundaryWork] = []
  /// How much of it has been answered.
  var boundaryDone = 0
  var questions: [(Question, @Sendable (Answer) -> Void)] = []
  var cuts: [(link: LinkID, reason: String)] = []
  var closedLinks: [Int32] = []
  var leasesLost: [LeaseTable.Holder] = []
  /// Counted beside the engine, when the turn is over: not before the watches that came with it are in force.
  var queries: [(link: LinkID, correlation: UInt32, query: QueryReads)] = []
  var appended = 0
  /// By ``EventType/rawValue``.
  var appendedByType = [Int](repeating: 0, count: 256)
  var duplicates = 0
  /// Recipients of broadcasts in the background who have it now, and who will not get it any more.
  var served = 0
  var unserved = 0
  var delayedChange = 0
  var hasDelayedChange = false
  var access = AccessTurn()
  var followed = FollowedTurn()
  // What is to be taken back if the commit fails.
  var openedSessions: [(link: LinkState, number: UInt64)] = []
  var addedCursors: [(session: Int32, topic: Int32)] = []

  mutating func count(_ type: EventType) {
    appended += 1
    appendedByType[Int(type.rawValue)] += 1
  }

  /// What its transaction held is gone; what asks for no transaction stays.
  mutating func lose() {
    lost += requests
    forgetTransaction()
  }

  mutating func reset() {
    forgetTransaction()
    lost.removeAll()
    boundary.removeAll()
    boundaryDone = 0
    questions.removeAll()
    cuts.removeAll()
    closedLinks.removeAll()
    leasesLost.removeAll()
    queries.removeAll()
  }

  private mutating func forgetTransaction() {
    isOpen = false
    hasWrites = false
    requests.removeAll(keepingCapacity: true)
    records.removeAll(keepingCapacity: true)
    deliveries.removeAll(keepingCapacity: true)
    receipts.removeAll()
    appended = 0
    for type in EventType.allCases { appendedByType[Int(type.rawValue)] = 0 }
    duplicates = 0
    served = 0
    unserved = 0
    delayedChange = 0
    hasDelayedChange = false
    access = AccessTurn()
    followed = FollowedTurn()
    openedSessions.removeAll(keepingCapacity: true)
    addedCursors.removeAll(keepingCapacity: true)
  }
}
