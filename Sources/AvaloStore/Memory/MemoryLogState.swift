import AvaloCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a ``MemoryEventLog`` and its readers share. The owner holds the lock from begin to commit, so that a reader
/// sees a transaction whole or not at all.
///
/// Sendable because every field is touched only between `lock()` and `unlock()`.
final class MemoryLogState: @unchecked Sendable {
  struct Event {
    var offset: UInt64
    var expires: Int64
    var record: [UInt8]
  }
  struct TopicLog {
    var name: String
    var head: UInt64 = 0
    var floor: UInt64 = 0
    /// In the order of their offsets.
    var events: [Event] = []
    var keys: [UInt64: StoredKey] = [:]
    /// By the topic of their chat, in the order of their sequence, each message once.
    var messages: [TopicID: [StoredMessage]] = [:]
    /// No event here expires before it: most sweeps pass a topic by.
    var expiresFirst = Int64.max
  }
  struct Device {
    var user: String
    var row: StoredDevice
    var cursors: [TopicID: StoredCursor] = [:]
  }

  var identity: LogIdentity
  var names: [String: TopicID] = [:]
  /// Index 0 holds the keys of broadcasts.
  var topics: [TopicLog] = [TopicLog(name: "")]
  var devices: [DeviceID: Device] = [:]
  var devicesOf: [String: [DeviceID]] = [:]
  var lastDevice: DeviceID = 0
  var delayed: [DelayedEvent] = []
  var sequence: UInt64 = 0
  /// The event that was appended last.
  var appended: (topic: TopicID, offset: UInt64) = (0, 0)
  var followers: [String: StoredFollower] = [:]
  /// In the order of their sequence.
  var followed: [FollowedEvent] = []
  /// By user and the topic of the chat.
  var markers: [String: [TopicID: StoredMarker]] = [:]
  var access = MemoryAccess()
  var broadcasts = MemoryBroadcasts()
  var bytes = 0

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  init(identity: LogIdentity) {
    self.identity = identity
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
  }
  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }
}

extension MemoryLogState.TopicLog {
  /// The index of the first event beyond `offset`.
  func index(after offset: UInt64) -> Int {
    var low = 0
    var high = events.count
    while low < high {
      let middle = (low + high) / 2
      if events[middle].offset <= offset { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
