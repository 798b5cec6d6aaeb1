import CAvalo
import Glibc
import Synchronization

/// A running loop as other threads see it.
public final class ReactorHandle: Sendable {
  private let shared: ReactorShared
  private let thread: LoopThread

  init(shared: ReactorShared, thread: LoopThread) {
    self.shared = shared
    self.thread = thread
  }

  public var waker: Waker { shared.waker }

  /// Connections taken, those on their way in or out included.
  public var connectionCount: Int { shared.places.load(ordering: .relaxed) }

  public var hasRoom: Bool { connectionCount < shared.connectionsMax }

  /// Gives an upgraded connection to the loop: it sends `response`, tells the application, and goes on with the bytes
  /// that came after the request. The loop owns the descriptor and the address lease then. `false` when it has no room
  /// or was stopped: both are still the caller's, and nothing was sent.
  public func adopt(
    descriptor: Int32, response: [UInt8], early: [UInt8], request: UpgradeRequest, addressLease: UInt32 = 0
  ) -> Bool {
    if shared.isStopped.load(ordering: .acquiring) { return false }
    guard shared.places.add(1, ordering: .relaxed).oldValue < shared.connectionsMax else {
      shared.places.subtract(1, ordering: .relaxed)
      return false
    }
    shared.commands.post(
      .adopt(
        Adoption(
          descriptor: OwnedDescriptor(descriptor), response: response, early: early, request: request,
          addressLease: addressLease)))
    return true
  }

  /// Asks the loop to end. Connections still there are dropped, and told to the application.
  public func stop() {
    shared.commands.post(.stop)
  }

  /// Waits for the loop's thread to end. Not from that thread.
  public func join() {
    thread.join()
  }
}

/// What a loop and its handle share.
final class ReactorShared: Sendable {
  let waker: Waker
  let wakeDescriptor: Int32
  let commands: Mailbox<ReactorCommand>
  let connectionsMax: Int
  let addresses: AddressBudget?
  /// Reserved before a connection is posted, so that a full loop refuses at once.
  let places = Atomic<Int>(0)
  let isStopped = Atomic<Bool>(false)

  init(connectionsMax: Int, addresses: AddressBudget?) throws(ReactorError) {
    let descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard descriptor >= 0 else { throw ReactorError.system("eventfd", errno) }
    wakeDescriptor = descriptor
    // Fails only when the counter is full, and then the loop is awake.
    waker = Waker { eventfd_write(descriptor, 1) }
    commands = Mailbox(waker)
    self.connectionsMax = connectionsMax
    self.addresses = addresses
  }

  deinit {
    close(wakeDescriptor)
  }
}

enum ReactorCommand: Sendable {
  case adopt(Adoption)
  case stop
}

struct Adoption: Sendable {
  let descriptor: OwnedDescriptor
  let response: [UInt8]
  let early: [UInt8]
  let request: UpgradeRequest
  let addressLease: UInt32
}

/// A descriptor on its way between threads: closed if nobody takes it.
final class OwnedDescriptor: Sendable {
  private let number: Atomic<Int32>

  init(_ number: Int32) {
    self.number = Atomic(number)
  }

  deinit {
    let left = number.load(ordering: .relaxed)
    if left >= 0 { close(left) }
  }

  func take() -> Int32 {
    number.exchange(-1, ordering: .relaxed)
  }
}
