import AvaloSystem
import CAvalo
import Glibc
import Synchronization

/// The supervisor's event loop: one thread that waits for descriptors, timers and jobs, and runs ``Supervisor``'s code
/// (it is that actor's executor). The thread is the one that calls ``run()``, the process's first, which lives as long
/// as the process: workers are started on it, because the kernel kills them when their starting thread ends.
///
/// `@unchecked Sendable`: `watches` and `timers` are touched on the loop's thread only, which `preconditionOnLoop` holds
/// at every door; everything else is immutable, atomic or behind the mutex.
final class SupervisorLoop: SerialExecutor, @unchecked Sendable {
  private let epoll: Int32
  private let wakeUp: Int32
  private let clock: MonotonicClock
  private let jobs = Mutex<[UnownedJob]>([])
  private let thread = Atomic<UInt>(0)
  private let isStopped = Atomic(false)

  private var watches: [Int32: Watch] = [:]
  private var timers: [Timer] = []
  private var serial: UInt64 = 0

  private struct Watch {
    var serial: UInt64
    var handler: @Sendable () -> Void
  }

  /// A moment at which something is to be done; cancelled by ``cancel(_:)``.
  struct TimerID: Hashable, Sendable { fileprivate let serial: UInt64 }
  private struct Timer {
    var serial: UInt64
    var due: MonotonicInstant
    var handler: @Sendable () -> Void
  }

  init(clock: MonotonicClock = .system) throws(SystemError) {
    self.clock = clock
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw SystemError("epoll_create1") }
    wakeUp = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard wakeUp >= 0 else { throw SystemError("eventfd") }
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: SupervisorLoop.wakeUpTag))
    guard epoll_ctl(epoll, EPOLL_CTL_ADD, wakeUp, &event) == 0 else { throw SystemError("epoll_ctl") }
  }

  deinit {
    close(wakeUp)
    close(epoll)
  }

  // MARK: Turning

  /// Runs until ``stop()``, on the calling thread. Call once.
  func run() {
    thread.store(UInt(pthread_self()), ordering: .sequentiallyConsistent)
    var events = [epoll_event](repeating: epoll_event(), count: 64)
    while !isStopped.load(ordering: .relaxed) {
      let count = epoll_wait(epoll, &events, Int32(events.count), timeToWait())
      for event in events.prefix(Int(max(count, 0))) { handle(event) }
      runTimers()
      runJobs()
    }
  }

  /// Ends ``run()`` after its present turn. Any thread.
  func stop() {
    isStopped.store(true, ordering: .relaxed)
    wake()
  }

  private static let wakeUpTag = UInt64.max

  private func handle(_ event: epoll_event) {
    if event.data.u64 == SupervisorLoop.wakeUpTag {
      var count: UInt64 = 0
      _ = read(wakeUp, &count, MemoryLayout<UInt64>.size)
      return
    }
    // The descriptor's number and the low half of its watch's serial: an event for a watch that was removed in this
    // very turn, whose number is taken again, is not its successor's.
    let descriptor = Int32(truncatingIfNeeded: event.data.u64)
    guard let watch = watches[descriptor], watch.serial & 0x7FFF_FFFF == event.data.u64 >> 32 else { return }
    watch.handler()
  }

  private func timeToWait() -> Int32 {
    guard let due = timers.first?.due else { return -1 }
    let left = due - clock.now
    // Rounded up: a turn that comes too early finds nothing to do.
    return left <= .zero ? 0 : Int32(clamping: (left.nanoseconds + 999_999) / 1_000_000)
  }

  private func runTimers() {
    let now = clock.now
    while let timer = timers.first, timer.due <= now {
      timers.removeFirst()
      timer.handler()
    }
  }

  private func runJobs() {
    // Jobs that these enqueue wait for the next turn, so that descriptors and timers get theirs.
    let due = jobs.withLock { jobs in
      defer { jobs = [] }
      return jobs
    }
    for job in due { job.runSynchronously(on: asUnownedSerialExecutor()) }
  }

  // MARK: Descriptors and timers (on the loop)

  /// Calls `handler` in every turn in which `descriptor` is readable, or its other end is gone.
  func watch(_ descriptor: Int32, _ handler: @escaping @Sendable () -> Void) {
    preconditionOnLoop()
    precondition(watches[descriptor] == nil, "descriptor \(descriptor) is watched already")
    serial += 1
    watches[descriptor] = Watch(serial: serial, handler: handler)
    let tag = (serial & 0x7FFF_FFFF) << 32 | UInt64(UInt32(bitPattern: descriptor))
    var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: tag))
    let result = epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
    precondition(result == 0, "epoll_ctl: \(SystemError.text(of: errno))")
  }

  /// Before the descriptor is closed.
  func unwatch(_ descriptor: Int32) {
    preconditionOnLoop()
    guard watches.removeValue(forKey: descriptor) != nil else { return }
    epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
  }

  @discardableResult
  func schedule(at due: MonotonicInstant, _ handler: @escaping @Sendable () -> Void) -> TimerID {
    preconditionOnLoop()
    serial += 1
    let index = timers.firstIndex { $0.due > due } ?? timers.endIndex
    timers.insert(Timer(serial: serial, due: due, handler: handler), at: index)
    return TimerID(serial: serial)
  }

  func cancel(_ timer: TimerID) {
    preconditionOnLoop()
    timers.removeAll { $0.serial == timer.serial }
  }

  // MARK: Executor

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isFirst = jobs.withLock { jobs in
      jobs.append(job)
      return jobs.count == 1
    }
    if isFirst { wake() }
  }

  func checkIsolated() { preconditionOnLoop() }

  private func preconditionOnLoop() {
    precondition(
      thread.load(ordering: .relaxed) == UInt(pthread_self()), "not on the supervisor's loop")
  }

  private func wake() {
    var one: UInt64 = 1
    // A full counter is a wake-up too.
    _ = write(wakeUp, &one, MemoryLayout<UInt64>.size)
  }
}
