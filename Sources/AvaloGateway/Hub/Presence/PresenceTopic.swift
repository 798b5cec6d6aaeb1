import AvaloCore
import AvaloReactor
import AvaloWire

/// One user whose presence sessions of this loop watch: what is known of it, and who is to be told.
///
/// Owned by its hub, confined to its loop. Its handle on the presence worker's link is its index with the loop's number
/// above it.
final class PresenceTopic {
  let user: String
  let handle: UInt32
  /// Nobody is left; the handle is free when the presence worker has said so.
  var isLeaving = false
  /// Of what is known; 0 while that is nothing.
  private(set) var version: UInt64 = 0
  private(set) var known = PresenceKnown()
  var subscribers = SubscriberList()
  /// Chats that the log took from the user a moment ago, and in which monotonic second: a change that was on its way then
  /// still names them.
  private var ended: [(chat: String, second: UInt32)] = []
  /// Of those, what the last change names: the user may be in them again.
  private(set) var withheld: Set<String> = []

  init(user: String, handle: UInt32) {
    self.user = user
    self.handle = handle
  }

  /// What the presence worker says, but for what the log has said since.
  func take(_ change: PresenceChanged, nowSeconds: UInt32) {
    version = change.version
    if !ended.isEmpty {
      // The presence worker has heard of it, too: what names the chat again is news. Chats are told where they matter.
      let namesChats = change.state.hasPartsForPartners
      ended.removeAll {
        nowSeconds &- $0.second >= HubLimits.endedChatSeconds || namesChats && !change.chats.contains($0.chat)
      }
    }
    let chats = Set(change.chats)
    withheld = ended.isEmpty ? [] : chats.intersection(ended.map(\.chat))
    known = PresenceKnown(state: change.state, chats: chats.subtracting(withheld))
  }

  /// What was on its way has come, and the presence worker has said nothing else since: the user is in these chats. Whether
  /// that is news.
  func giveBack(nowSeconds: UInt32) -> Bool {
    ended.removeAll { nowSeconds &- $0.second >= HubLimits.endedChatSeconds }
    let back = withheld.subtracting(ended.map(\.chat))
    withheld.subtract(back)
    known.chats.formUnion(back)
    return !back.isEmpty
  }

  /// The user is in the chat no longer. Whether they were, by what is known.
  func end(_ chat: String, nowSeconds: UInt32) -> Bool {
    ended.removeAll { $0.chat == chat }
    if ended.count == HubLimits.endedChatsMax { ended.removeFirst() }
    ended.append((chat, nowSeconds))
    withheld.remove(chat)
    return known.chats.remove(chat) != nil
  }

  /// The presence worker begins with what its file has, and hears anew what it lost: what counts as said since the removal
  /// begins here.
  func withholdAnew(nowSeconds: UInt32) {
    for place in ended.indices { ended[place].second = nowSeconds }
  }

  var index: UInt32 { handle & PresenceTopic.indexMax }
  static let indexMax: UInt32 = 0xFF_FFFF
}

/// What is known of a user's presence: all of it, with what decides who may see which part.
struct PresenceKnown: Equatable {
  var state = PresenceState()
  /// The user's chats, to tell partners from strangers; empty when that makes no difference.
  var chats: Set<String> = []

  /// The part for such viewers, without the times that change all the while and are no news by themselves.
  func news(for viewer: PresenceState.Viewer) -> PresenceState {
    var news = state.seen(by: viewer)
    news.lastSeenMilliseconds = 0
    news.lastActiveMilliseconds = 0
    // Whom it is shown to is no business of others.
    news.activityVisibility = .everyone
    news.locationVisibility = .everyone
    return news
  }
}

/// One session's interest in one user. A plain value in the book's slab, found by index.
struct PresenceSubscription {
  static let none = UInt32.max

  var connection = ConnectionID(slot: .max, generation: 0)
  /// The index of its topic; also the next free one in the slab's free list.
  var topic = PresenceSubscription.none
  /// Its place in the topic's list.
  var place: UInt32 = 0
  /// The session's next subscription.
  var next = PresenceSubscription.none
  /// The present state is to be sent whole, when it is known, and known what of it the session may see, the session is
  /// ready, and its connection has room.
  var owes = true
  /// As whom the session was shown what it was told last.
  var shown = PresenceState.Viewer.stranger
}
