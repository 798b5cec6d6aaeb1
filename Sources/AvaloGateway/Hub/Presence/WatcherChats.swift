import AvaloReactor
import NIOCore

/// The chats that the log has sessions of this loop as members of, of those sessions where it decides what they are shown of
/// a user's presence. Owned by its hub, confined to its loop. Pure bookkeeping: whom to ask about, the hub asks.
///
/// Asked for once, and again after a while for who may be shown more since; what the access log takes away goes at once. A
/// link that is lost takes all of it along. A session is in one place at a time: waiting to be asked about, for the first time
/// on the link or again, being asked about, or among those that were answered. Chats are kept as their hashes, 8 bytes for
/// each.
struct WatcherChats {
  private struct Entry {
    let connection: ConnectionID
    /// `nil` until the log has said it on the present link.
    var chats: Set<Int>?
  }

  /// A session to ask about, and the link's round that the answer must belong to.
  struct Question: Equatable {
    var connection: ConnectionID
    var round: UInt32
  }

  /// By the slot of the session.
  private var entries: [UInt32: Entry] = [:]
  private var waiting = CircularBuffer<ConnectionID>()
  /// Behind those: they are shown something already.
  private var waitingAgain = CircularBuffer<ConnectionID>()
  /// With the monotonic second of the answer, the oldest first.
  private var answered = CircularBuffer<(connection: ConnectionID, second: UInt32)>()
  private var asking = 0
  /// Counts links: what was asked on an earlier one is not answered any more.
  private var round: UInt32 = 0
  /// Somebody's news waits until it is known again what was taken away.
  var holdsNews = false

  var isEmpty: Bool { entries.isEmpty }
  var connections: [ConnectionID] { entries.values.map(\.connection) }

  /// Whether the session's user is a member of one of these chats; `nil` when the log has yet to say.
  func isMember(_ connection: ConnectionID, of chats: Set<String>) -> Bool? {
    guard let entry = entries[connection.slot], entry.connection == connection, let known = entry.chats else {
      return nil
    }
    return !known.isEmpty && chats.contains { known.contains(WatcherChats.hash($0)) }
  }

  // MARK: - Asking

  /// It matters which chats the session's user is in.
  mutating func want(_ connection: ConnectionID) {
    guard entries[connection.slot]?.connection != connection else { return }
    entries[connection.slot] = Entry(connection: connection)
    waiting.append(connection)
  }

  /// The next session to ask about, as long as few enough are being asked about, and if it may be asked now, for the first
  /// time on this link or again, which is evaluated only when there is one.
  mutating func takeQuestion(if mayAsk: (_ isAgain: Bool) -> Bool = { _ in true }) -> Question? {
    while asking < HubLimits.membershipQuestionsMax, let connection = waiting.first ?? waitingAgain.first {
      let isLive = entries[connection.slot]?.connection == connection
      if isLive, !mayAsk(waiting.isEmpty) { return nil }
      if waiting.popFirst() == nil { waitingAgain.removeFirst() }
      guard isLive else { continue }
      asking += 1
      return Question(connection: connection, round: round)
    }
    return nil
  }

  /// The log's answer, `nil` when it gave none: then what is known stands. Whether that is news.
  mutating func answer(_ question: Question, _ chats: [String]?, nowSeconds: UInt32) -> Bool {
    guard question.round == round else { return false }
    asking -= 1
    let connection = question.connection
    guard let entry = entries[connection.slot], entry.connection == connection else { return false }
    let known = chats.map { Set($0.map(WatcherChats.hash)) } ?? entry.chats ?? []
    entries[connection.slot]?.chats = known
    answered.append((connection, nowSeconds))
    return known != entry.chats
  }

  /// Once a second: of the sessions whose answer is old, those that need a new one are to be asked about again. Some at a
  /// time, and no more while enough of them wait; who needs none costs looks.
  mutating func refresh(nowSeconds: UInt32, where needsAnswer: (ConnectionID) -> (Bool, looks: Int)) {
    var looks = 0
    while looks < HubLimits.membershipLooksPerSecond, waitingAgain.count < HubLimits.membershipRefreshesPerSecond,
      let first = answered.first, nowSeconds &- first.second >= HubLimits.membershipSeconds
    {
      answered.removeFirst()
      looks += 1
      guard entries[first.connection.slot]?.connection == first.connection else { continue }
      let (isNeeded, cost) = needsAnswer(first.connection)
      looks += cost
      if isNeeded {
        waitingAgain.append(first.connection)
      } else {
        answered.append((first.connection, nowSeconds))
      }
    }
  }

  // MARK: - Ending

  /// The session's user is a member of the chat no longer.
  mutating func remove(_ chat: String, from connection: ConnectionID) {
    guard entries[connection.slot]?.connection == connection else { return }
    entries[connection.slot]?.chats?.remove(WatcherChats.hash(chat))
  }

  /// The session is gone.
  mutating func leave(_ connection: ConnectionID) {
    if entries[connection.slot]?.connection == connection { entries[connection.slot] = nil }
  }

  /// Nobody says any more what is taken away: nothing is known of anybody.
  mutating func linkLost() {
    round &+= 1
    asking = 0
    waiting.removeAll()
    waitingAgain.removeAll()
    answered.removeAll()
    for slot in entries.keys { entries[slot]?.chats = nil }
  }

  /// All are to be asked about.
  mutating func linkMade() {
    linkLost()
    waiting.append(contentsOf: connections)
  }

  mutating func trim() { entries.trim() }

  /// Seeded anew in each process, so that nobody outside can make chats collide.
  private static func hash(_ chat: String) -> Int { chat.hashValue }
}
