import AvaloStore
import Synchronization

/// The committed index rows that are not in the file's trees yet, shared by the owner, which changes them, and readers.
///
/// `young` takes what is committed; when it is large it becomes `merging`, which never changes and goes when all of it
/// is in the trees. So a row is always here, or there, or in both, and never in neither.
final class RecentIndex: Sendable {
  private struct Tiers {
    var young = IndexTier()
    var merging = IndexTier()
  }
  private let tiers = Mutex(Tiers())

  var count: Int { tiers.withLock { $0.young.count + $0.merging.count } }
  var youngCount: Int { tiers.withLock { $0.young.count } }

  func absorb(_ staged: IndexTier) { tiers.withLock { $0.young.absorb(staged) } }

  /// Makes what is young the tier to merge; the one before must be done. Returns it.
  func rotate() -> IndexTier {
    tiers.withLock {
      precondition($0.merging.isEmpty, "a merge begins before the last one ended")
      swap(&$0.young, &$0.merging)
      return $0.merging
    }
  }

  /// All rows of the merging tier are in the trees.
  func merged() { tiers.withLock { $0.merging = IndexTier() } }

  /// Begins anew with what the file says.
  func replace(_ young: IndexTier) {
    tiers.withLock { $0 = Tiers(young: young) }
  }

  func head(of topic: TopicID) -> UInt64? {
    tiers.withLock { $0.young.head(of: topic) ?? $0.merging.head(of: topic) }
  }

  func key(topic: TopicID, hash: UInt64) -> StoredKey? {
    tiers.withLock { $0.young.key(topic: topic, hash: hash) ?? $0.merging.key(topic: topic, hash: hash) }
  }

  /// The topic's events above `after`, up to and including `upTo`, in order, and its head here.
  func entries(of topic: TopicID, after: UInt64, upTo: UInt64) -> (entries: [IndexEntry], head: UInt64) {
    tiers.withLock {
      var entries: [IndexEntry] = []
      $0.young.collect(topic: topic, after: after, upTo: upTo, into: &entries)
      $0.merging.collect(topic: topic, after: after, upTo: upTo, into: &entries)
      return (entries, $0.young.head(of: topic) ?? $0.merging.head(of: topic) ?? 0)
    }
  }

  // MARK: Messages

  func message(_ name: IndexTier.MessageName) -> StoredMessage? {
    tiers.withLock { $0.merging.message(name) ?? $0.young.message(name) }
  }

  /// Each once, in the order of their sequence.
  func messages(_ range: MessageRange) -> [StoredMessage] { messages(range, newest: .max).messages }

  /// About the newest `limit` of them, and whether these are all there are.
  func messages(_ range: MessageRange, newest limit: Int) -> (messages: [StoredMessage], isWhole: Bool) {
    tiers.withLock { tiers in
      var young = tiers.young.messages(range, newest: limit)
      var isWhole = young.count < limit
      guard !tiers.merging.isEmpty else { return (young, isWhole) }
      young.removeAll {
        tiers.merging.message(.init(scope: range.scope, chat: range.chat, message: $0.message)) != nil
      }
      let merging = tiers.merging.messages(range, newest: limit - young.count)
      isWhole = isWhole && merging.count < limit - young.count
      return (merging + young, isWhole)
    }
  }

  func chats(in scope: TopicID) -> Set<TopicID> {
    tiers.withLock { $0.merging.chats(in: scope).union($0.young.chats(in: scope)) }
  }
}
