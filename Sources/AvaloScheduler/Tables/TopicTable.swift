import AvaloCore
import AvaloStore

/// Where to send what is appended to a topic: a link's place in the table, and the gateway's handle on it.
struct Watcher: Equatable {
  var link: Int32
  var handle: UInt32
}

/// What the engine keeps of a topic that is watched, subscribed to, or was published to lately. About 100 bytes and the
/// name, because there is one for every connected user.
struct TopicState {
  let name: String
  /// Its row's number; 0 as long as there is none.
  var id: TopicID = 0
  var epoch: Epoch
  /// With the running turn's events.
  var head: UInt64 = 0
  var floor: UInt64 = 0
  /// Bytes of records, or -1 when nobody had to know yet.
  var bytes = -1
  /// Most topics are watched once: that one costs no array.
  var watcher: Watcher?
  var moreWatchers: [Watcher] = []
  /// Watchers, cursors and queued work that need this state to stay.
  var holds: Int32 = 0
  var rule: UInt8
  /// Whether id, head and floor are what the log says.
  var isLoaded = false
  var isQueuedForTrimming = false

  var isWatched: Bool { watcher != nil }

  /// As the log has it; `nil` as long as there is no row.
  var stored: StoredTopic? { id == 0 ? nil : StoredTopic(id: id, head: head, floor: floor) }

  func forEachWatcher(_ body: (Watcher) -> Void) {
    guard let watcher else { return }
    body(watcher)
    for watcher in moreWatchers { body(watcher) }
  }

  mutating func add(_ new: Watcher) {
    if watcher == nil { watcher = new } else { moreWatchers.append(new) }
    holds += 1
  }

  mutating func remove(_ old: Watcher) {
    if watcher == old {
      watcher = moreWatchers.popLast()
    } else if let index = moreWatchers.firstIndex(of: old) {
      moreWatchers.remove(at: index)
    } else {
      return
    }
    holds -= 1
  }
}

/// The topics the engine knows, by name and by place.
struct TopicTable {
  private(set) var places: [String: Int32] = [:]
  private var states = Slab<TopicState>()
  private var hand: Int32 = 0

  var count: Int { places.count }

  subscript(place: Int32) -> TopicState {
    _read { yield states[place] }
    _modify { yield &states[place] }
  }

  func place(of name: String) -> Int32? { places[name] }

  mutating func add(_ state: TopicState) -> Int32 {
    let place = states.add(state)
    places[state.name] = place
    return place
  }

  /// After a failed commit, and with a new generation, nothing that was cached counts.
  mutating func invalidate(identity: LogIdentity) {
    for place in states.places {
      states[place].isLoaded = false
      states[place].bytes = -1
      states[place].epoch = identity.epoch(of: states[place].name)
    }
  }

  /// Forgets topics nobody holds when there are more than `max` in all, looking at no more than a few each time.
  mutating func forgetIdle(beyond max: Int) {
    var looks = min(states.end, 4096)
    while places.count > max, looks > 0 {
      looks -= 1
      hand = hand + 1 < states.end ? hand + 1 : 0
      guard states.holds(hand), states[hand].holds == 0 else { continue }
      places[states.remove(hand).name] = nil
    }
  }
}
