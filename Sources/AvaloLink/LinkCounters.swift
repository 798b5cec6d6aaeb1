import Synchronization

/// What the links of one name did so far, for metrics. Written on their loop, read by any thread.
public final class LinkCounters: Sendable {
  private let receivedBytesTotal = Atomic(0)
  private let sentBytesTotal = Atomic(0)
  private let openedTotal = Atomic(0)
  private let closedTotal = Atomic(0)
  private let backlog = Atomic(0)

  public init() {}

  public var receivedBytes: Int { receivedBytesTotal.load(ordering: .relaxed) }
  public var sentBytes: Int { sentBytesTotal.load(ordering: .relaxed) }
  public var opened: Int { openedTotal.load(ordering: .relaxed) }
  public var closed: Int { closedTotal.load(ordering: .relaxed) }
  /// Sent and not yet in the kernel.
  public var backlogBytes: Int { backlog.load(ordering: .relaxed) }

  func countReceived(bytes: Int) { receivedBytesTotal.wrappingAdd(bytes, ordering: .relaxed) }
  func countSent(bytes: Int) { sentBytesTotal.wrappingAdd(bytes, ordering: .relaxed) }
  func countOpened() { openedTotal.wrappingAdd(1, ordering: .relaxed) }
  func countClosed() { closedTotal.wrappingAdd(1, ordering: .relaxed) }
  func addBacklog(_ bytes: Int) { backlog.wrappingAdd(bytes, ordering: .relaxed) }
}
