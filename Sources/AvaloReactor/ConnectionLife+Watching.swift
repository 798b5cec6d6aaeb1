/// What a loop looks at once a second: connections that have something half done, each until it is done or overdue; and
/// a part of all connections, for those that fell silent.
extension ConnectionLife {
  struct Watch {
    enum Subject {
      /// A PING is out: any sign of life will do.
      case pong
      /// The kernel holds bytes back: they must move.
      case stall
      /// A message is half-read: it must be completed.
      case message
      /// The end is decided: the peer must see it and go.
      case close

      var flag: SlotFlags {
        switch self {
        case .pong: .watchesPong
        case .stall: .watchesStall
        case .message: .watchesMessage
        case .close: .watchesClose
        }
      }
    }

    let connection: ConnectionID
    let subject: Subject
    /// Loop seconds.
    var deadline: UInt32
    /// `.pong`: when the silence began.
    let lastReceived: UInt32
  }

  /// Watches a connection for a number of seconds from now, unless it is watched for that already.
  func watch(_ index: UInt32, _ subject: Watch.Subject, until seconds: UInt32) {
    let slot = writer.slots + Int(index)
    if slot.pointee.flags.contains(subject.flag) { return }
    slot.pointee.flags.insert(subject.flag)
    // What moved before is no sign that it still moves.
    if subject == .stall { slot.pointee.flags.remove(.wrote) }
    if subject == .message { slot.pointee.flags.remove(.completedMessage) }
    watches.append(
      Watch(
        connection: writer.id(index), subject: subject, deadline: writer.nowSeconds &+ seconds,
        lastReceived: slot.pointee.lastReceived))
  }

  func look(_ now: UInt32) {
    if watches.isEmpty { return }
    let due = watches
    watches.removeAll(keepingCapacity: true)
    for var watch in due where watch.connection == writer.id(watch.connection.slot) {
      if remains(&watch, now) {
        watches.append(watch)
      } else if watch.connection == writer.id(watch.connection.slot) {
        writer.slots[Int(watch.connection.slot)].flags.remove(watch.subject.flag)
      }
    }
  }

  /// Looks at one; ends the connection when it is overdue. `false` when there is nothing more to watch.
  private func remains(_ watch: inout Watch, _ now: UInt32) -> Bool {
    let index = watch.connection.slot
    let slot = writer.slots + Int(index)
    let isOverdue = now >= watch.deadline
    switch watch.subject {
    case .close:
      if isOverdue { end(index) }
      return !isOverdue
    case .pong:
      if slot.pointee.lastReceived != watch.lastReceived || slot.pointee.flags.isSilent { return false }
      if isOverdue {
        writer.counters.closedIdle &+= 1
        giveUp(index, CloseCode.idle, "idle")
      }
      return !isOverdue
    case .stall:
      if slot.pointee.outstandingBytes == 0 || slot.pointee.flags.isSilent { return false }
      if slot.pointee.flags.contains(.wrote) {
        slot.pointee.flags.remove(.wrote)
        watch.deadline = now &+ settings.stallSecondsMax
        return true
      }
      if isOverdue {
        writer.counters.closedSlow &+= 1
        giveUp(index, CloseCode.slowConsumer, "slow_consumer")
      }
      return !isOverdue
    case .message:
      guard slot.pointee.side?.pointee.decoder != nil, !slot.pointee.flags.isSilent else { return false }
      if slot.pointee.flags.contains(.completedMessage) {
        slot.pointee.flags.remove(.completedMessage)
        watch.deadline = now &+ settings.messageSecondsMax
        return true
      }
      if isOverdue {
        writer.counters.closedIdle &+= 1
        giveUp(index, CloseCode.idle, "idle")
      }
      return !isOverdue
    }
  }

  private func giveUp(_ index: UInt32, _ code: UInt16, _ reason: StaticString) {
    let text = UnsafeRawBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount)
    writer.beginClose(writer.slots + Int(index), index, code: code, reason: text)
  }

  /// Pings who was silent for long, a part of the slab each second: a mass of connections that came in one second is not
  /// pinged in one. A part that was missed, because the loop was held up, is made up for.
  func visit(seconds: ClosedRange<UInt32>) {
    let interval = settings.pingIntervalSeconds
    let parts = max(1, interval / Limits.pingVisitsPerInterval)
    let silenceMax = max(1, interval - min(interval, parts))
    for second in seconds.suffix(Int(parts)) {
      var index = second % parts
      while index < writer.slotsEnd {
        pingIfSilent(index, for: silenceMax)
        index += parts
      }
    }
  }

  private func pingIfSilent(_ index: UInt32, for silenceMax: UInt32) {
    let slot = writer.slots + Int(index)
    let silence = writer.nowSeconds &- slot.pointee.lastReceived
    guard silence >= silenceMax, !slot.pointee.flags.isSilent, !slot.pointee.flags.contains(.watchesPong) else {
      return
    }
    writer.counters.pingsSent &+= 1
    writer.framing.writeHeartbeat { writer.copy(slot, index, $0) }
    guard writer.framing.isTwoWay else {
      // Nobody answers: the heartbeat is the line's last use. Whether anybody is there, TCP finds out.
      slot.pointee.lastReceived = writer.nowSeconds
      return
    }
    let deadline = settings.pingIntervalSeconds + settings.pingGraceSeconds
    watch(index, .pong, until: deadline > silence ? deadline - silence : 1)
  }
}
