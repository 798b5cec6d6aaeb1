import CAvalo
import Glibc
import Synchronization

/// A thread that runs one body to its end. Signals go to other threads.
final class LoopThread: Sendable {
  protocol Body: AnyObject {
    func run()
  }

  private let thread: pthread_t
  private let isJoined = Mutex(false)

  private init(_ thread: pthread_t) {
    self.thread = thread
  }

  deinit {
    if !isJoined.withLock({ $0 }) { pthread_detach(thread) }
  }

  /// The thread owns `body` from here on; the caller must not touch it again.
  static func start(name: String, _ body: sending any Body) throws(ReactorError) -> LoopThread {
    let main = Unmanaged.passRetained(Box(name, body)).toOpaque()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, Limits.stackBytes)

    // Inherited by the thread: a signal must never land on a loop.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

    var thread = pthread_t()
    let status = pthread_create(
      &thread, &attributes,
      { main in
        let box = Unmanaged<Box>.fromOpaque(main!).takeRetainedValue()
        avalo_name_thread(box.name)
        box.body.run()
        return nil
      }, main)
    guard status == 0 else {
      Unmanaged<Box>.fromOpaque(main).release()
      throw ReactorError.system("pthread_create", status)
    }
    return LoopThread(thread)
  }

  func join() {
    isJoined.withLock { joined in
      if joined { return }
      pthread_join(thread, nil)
      joined = true
    }
  }

  private final class Box {
    let name: String
    let body: any Body

    init(_ name: String, _ body: any Body) {
      self.name = name
      self.body = body
    }
  }
}
