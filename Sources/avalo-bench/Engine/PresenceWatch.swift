import AvaloCore
import Histogram

/// What users say of themselves, held against what those know who watch them.
///
/// Each change has a number of its user's, which travels in the custom status with the time when it was due. Presence is a
/// state: of several changes the last may be all that a watcher is told. So a watcher that knows a user's last accepted
/// change has lost nothing, however few came; one that does not has. Owned by a scenario, lives on the engine's thread.
final class PresenceWatch {
  private static let numberDigits = 10
  private static let timeDigits = 19

  let ring: WatchRing
  private let sourceKey: [UInt8]
  /// The number of each user's last change: said, and accepted by the server.
  private var said: [UInt32]
  private var accepted: [UInt32]
  /// When each change was due that is not answered, by its user and number.
  private var asked: [UInt64: Nanoseconds] = [:]
  /// The number of the last state that came, by watcher and place.
  private var seen: [UInt32]

  // What was seen.
  private(set) var changes = 0
  /// Changes that the server has not answered.
  var unanswered: Int { asked.count }
  private(set) var refusals = Tally()
  /// States that came, and those that a newer one took the place of.
  private(set) var notified = 0
  private(set) var coalesced = 0
  private(set) var duplicates = 0
  private(set) var reordered = 0
  /// From when a change was due, in µs.
  private(set) var arrivalLatency = LoadEngine.histogram()
  private(set) var answerLatency = LoadEngine.histogram()

  /// - `userPrefix`: what users' names begin with; six digits follow.
  init(_ ring: WatchRing, userPrefix: String) {
    self.ring = ring
    sourceKey = Array(#""sourceUserId":"\#(userPrefix)"#.utf8)
    said = Array(repeating: 0, count: ring.users)
    accepted = said
    seen = Array(repeating: 0, count: ring.users * ring.watched)
  }

  /// What every watcher was told or need not be told any more, of all that was accepted.
  var isSettled: Bool { unanswered == 0 && notified + coalesced >= changes * ring.watched }

  /// Watchers that do not know the last state of a user.
  var lost: Int {
    var lost = 0
    for watcher in 0..<ring.users {
      for (place, user) in ring.watched(by: watcher).enumerated()
      where seen[watcher * ring.watched + place] < accepted[user] { lost += 1 }
    }
    return lost
  }

  // MARK: Changing

  /// A user says how they are, as a masked frame to be sent on their connection.
  func change(_ user: Int, due: Nanoseconds) -> [UInt8] {
    said[user] += 1
    let number = said[user]
    asked[PresenceWatch.key(user, number)] = due
    let words = PresenceWatch.digits(UInt64(number), PresenceWatch.numberDigits)
    let time = PresenceWatch.digits(due, PresenceWatch.timeDigits)
    return ClientFrame.text(
      #"{"id":\#(number),"call":"updatePresenceV1","data":{"status":"\#(number % 2 == 0 ? "away" : "busy")","#
        + #""customStatus":"\#(words)-\#(time)"}}"#)
  }

  func answered(_ user: Int, _ frame: JSONView, _ now: Nanoseconds) {
    guard let number = frame["id"]?.integer.map({ UInt32(clamping: $0) }),
      let due = asked.removeValue(forKey: PresenceWatch.key(user, number))
    else { return refusals.add("an answer that nobody asked for") }
    if let error = frame["error"] { return refusals.add(String(decoding: error.raw.prefix(300), as: UTF8.self)) }
    changes += 1
    accepted[user] = max(accepted[user], number)
    answerLatency.record((now - min(now, due)) / 1_000)
  }

  // MARK: Watching

  /// An event came to a watcher. What a user has not said by themselves (that they are online) is passed over.
  @inline(__always) func take(_ watcher: Int, _ json: UnsafeRawBufferPointer, _ now: Nanoseconds) {
    guard let status = Glance.find(#""customStatus":""#, in: json),
      let number = Glance.number(json, at: status, digitsMax: PresenceWatch.numberDigits),
      let due = Glance.number(json, at: status + PresenceWatch.numberDigits + 1, digitsMax: PresenceWatch.timeDigits),
      let source = Glance.find(sourceKey, in: json),
      let user = Glance.number(json, at: source, digitsMax: PublishTemplate.userDigits),
      let place = ring.place(of: Int(user), for: watcher)
    else { return }
    let index = watcher * ring.watched + place
    let (last, number32) = (seen[index], UInt32(clamping: number))
    guard number32 > last else {
      if number32 == last { duplicates += 1 } else { reordered += 1 }
      return
    }
    seen[index] = number32
    notified += 1
    coalesced += Int(number32 - last) - 1
    arrivalLatency.record((now - min(now, due)) / 1_000)
  }

  /// Forgets what was counted so far, not what everybody knows.
  func resetFigures() {
    (changes, notified, coalesced, duplicates, reordered) = (0, 0, 0, 0, 0)
    refusals = Tally()
    arrivalLatency = LoadEngine.histogram()
    answerLatency = LoadEngine.histogram()
  }

  private static func key(_ user: Int, _ number: UInt32) -> UInt64 { UInt64(user) << 32 | UInt64(number) }

  private static func digits(_ value: UInt64, _ count: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
  }
}
