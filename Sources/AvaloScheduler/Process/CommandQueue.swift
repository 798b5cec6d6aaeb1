import Glibc

/// Items on their way to one thread that waits for them. Any thread posts; one takes. Bounded: what is over the bound is
/// refused to the poster, who answers for it. Waiting is by the monotonic clock: a wall clock that is set wakes nobody.
///
/// Sendable because everything that changes is touched with the mutex held.
final class CommandQueue<Item: Sendable>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var items: [Item] = []
  /// Those before it are taken already.
  private var first = 0
  private var isClosed = false
  private let max: Int

  init(max: Int) {
    self.max = max
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    condition = .allocate(capacity: 1)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deallocate()
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  var count: Int { locked { items.count - first } }

  /// Adds an item; false when there are too many and this one may be refused, and always after ``close()``.
  func post(_ item: Item, mayRefuse: Bool) -> Bool {
    locked {
      if isClosed || (mayRefuse && items.count - first >= max) { return false }
      items.append(item)
      // With more than one there, whoever takes is awake already.
      if items.count - first == 1 { pthread_cond_signal(condition) }
      return true
    }
  }

  /// Nothing is taken in any more: who waits wakes up.
  func close() {
    locked {
      isClosed = true
      pthread_cond_broadcast(condition)
    }
  }

  /// Takes up to `limit` items, waiting up to so many milliseconds for the first. `nil` when closed and empty.
  func take(limit: Int, waitMilliseconds: Int64) -> [Item]? {
    locked {
      if items.isEmpty, !isClosed, waitMilliseconds > 0 {
        var deadline = CommandQueue.time(in: waitMilliseconds)
        while items.isEmpty, !isClosed, pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT {}
      }
      if items.isEmpty { return isClosed ? nil : [] }
      let end = min(items.count, first + limit)
      if first == 0, end == items.count {
        let taken = items
        items = []
        items.reserveCapacity(min(taken.capacity, limit))
        return taken
      }
      let taken = Array(items[first..<end])
      first = end
      // What is taken is let go of, but not for every group anew: moving the rest costs.
      if first > items.count / 2 {
        items.removeFirst(first)
        first = 0
      }
      return taken
    }
  }

  private static func time(in milliseconds: Int64) -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let nanoseconds = Int64(time.tv_nsec) + milliseconds % 1000 * 1_000_000
    time.tv_sec += Int(milliseconds / 1000 + nanoseconds / 1_000_000_000)
    time.tv_nsec = Int(nanoseconds % 1_000_000_000)
    return time
  }

  private func locked<Value>(_ body: () -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}
