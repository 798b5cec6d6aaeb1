import Synchronization

/// Mail for one loop from any number of threads, in the order of posting. Posting is one compare-and-swap, draining one
/// exchange; only the first mail into an empty box wakes the loop. It has no bound of its own: who posts must have one.
public final class Mailbox<Mail: Sendable>: Sendable {
  // A stack of retained nodes, the newest on top; 0 when empty. `drain` takes it whole and turns it round.
  @usableFromInline let newest = Atomic<UInt>(0)
  @usableFromInline let waker: Waker

  public init(_ waker: Waker) {
    self.waker = waker
  }

  deinit {
    drain { _ in }
  }

  @inlinable
  public func post(_ mail: Mail) {
    let node = MailNode(mail)
    let own = UInt(bitPattern: Unmanaged.passRetained(node).toOpaque())
    var seen = newest.load(ordering: .relaxed)
    while true {
      node.older = seen
      let (exchanged, current) = newest.compareExchange(expected: seen, desired: own, ordering: .acquiringAndReleasing)
      if exchanged { break }
      seen = current
    }
    if seen == 0 { waker.wake() }
  }

  /// On the loop only. Takes what is there now; mail that arrives meanwhile wakes the loop for another turn.
  @inlinable
  public func drain(_ body: (Mail) -> Void) {
    var rest = newest.exchange(0, ordering: .acquiringAndReleasing)
    var oldest: UInt = 0
    while let node = MailNode<Mail>.at(rest) {
      rest = node.older
      node.older = oldest
      oldest = UInt(bitPattern: Unmanaged.passUnretained(node).toOpaque())
    }
    while let pointer = UnsafeRawPointer(bitPattern: oldest) {
      let node = Unmanaged<MailNode<Mail>>.fromOpaque(pointer).takeRetainedValue()
      oldest = node.older
      body(node.mail)
    }
  }
}

/// One posted mail. Written by its poster before the box can see it, and by nobody but the drainer afterwards.
@usableFromInline
final class MailNode<Mail: Sendable> {
  @usableFromInline let mail: Mail
  @usableFromInline var older: UInt = 0

  @inlinable
  init(_ mail: Mail) {
    self.mail = mail
  }

  @inlinable
  static func at(_ bits: UInt) -> MailNode? {
    UnsafeRawPointer(bitPattern: bits).map { Unmanaged<MailNode>.fromOpaque($0).takeUnretainedValue() }
  }
}
