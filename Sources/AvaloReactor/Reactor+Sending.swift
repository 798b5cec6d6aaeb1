import Glibc

/// The one place where a reactor writes: at a turn's end, and when the kernel has room again.
extension Reactor {
  /// Sends what the turn queued on one connection. What the kernel does not take is put aside in order.
  func transmit(_ slot: UnsafeMutablePointer<Slot>) {
    let count = Int(slot.pointee.turnBytes)
    if count == 0 || slot.pointee.flags.contains(.failed) { return }
    if slot.pointee.outstandingBytes > 0 { return putAside(slot, after: 0) }
    let sent = sendTurn(slot)
    if sent < 0 {
      slot.pointee.flags.insert(.failed)
      return
    }
    writer.counters.bytesSent &+= UInt64(sent)
    if sent < count {
      writer.counters.partialSends &+= 1
      putAside(slot, after: sent)
    }
  }

  /// The kernel has room for a connection that waited.
  func writable(_ slot: UnsafeMutablePointer<Slot>, _ index: UInt32) {
    guard let side = slot.pointee.side, !side.pointee.outbox.isEmpty else { return arm(index) }
    let waiting = side.pointee.outbox.bytes
    writer.counters.sends &+= 1
    let sent = send(slot.pointee.descriptor, waiting.baseAddress, waiting.count, Reactor.sendFlags)
    if sent < 0 {
      if !Reactor.meansLater(errno) { life.end(index) }
      return
    }
    writer.counters.bytesSent &+= UInt64(sent)
    side.pointee.outbox.removeFirst(sent)
    slot.pointee.outstandingBytes = UInt32(side.pointee.outbox.count)
    slot.pointee.flags.insert(.wrote)
    if slot.pointee.outstandingBytes == 0 {
      writer.trimSide(slot)
      arm(index)
      life.drained(index)
    }
  }

  private static let sendFlags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)

  /// Nothing is wrong with the connection: the kernel has no room, or no memory, at the moment.
  private static func meansLater(_ code: Int32) -> Bool {
    code == EAGAIN || code == EINTR || code == ENOBUFS || code == ENOMEM
  }

  /// Bytes taken, possibly 0; negative when the connection is broken.
  private func sendTurn(_ slot: UnsafeMutablePointer<Slot>) -> Int {
    writer.counters.sends &+= 1
    guard slot.pointee.flags.contains(.gathered) else {
      let sent = send(slot.pointee.descriptor, slot.pointee.turn, Int(slot.pointee.turnBytes), Reactor.sendFlags)
      return sent < 0 && Reactor.meansLater(errno) ? 0 : sent
    }
    let list = UnsafeMutableRawPointer(mutating: slot.pointee.turn!)
    let pieces = PieceList.pieces(of: list)
    let count = list.assumingMemoryBound(to: PieceList.self).pointee.count
    var total = 0
    var at = 0
    while at < count {
      let batch = min(count - at, Limits.piecesPerSend)
      var expected = 0
      for position in at..<at + batch { expected += pieces[position].iov_len }
      var message = msghdr()
      message.msg_iov = pieces + at
      message.msg_iovlen = batch
      if at > 0 { writer.counters.sends &+= 1 }
      let sent = sendmsg(slot.pointee.descriptor, &message, Reactor.sendFlags)
      if sent < 0 { return Reactor.meansLater(errno) ? total : -1 }
      total += sent
      if sent < expected { break }
      at += batch
    }
    return total
  }

  /// Copies the turn's bytes, without those that were sent, behind what waits already.
  private func putAside(_ slot: UnsafeMutablePointer<Slot>, after sent: Int) {
    let side = writer.side(of: slot)
    let more = Int(slot.pointee.turnBytes) - sent
    if side.pointee.outbox.count + more > writer.settings.outboxBytesMax {
      outgrown(slot, side)
    } else {
      writer.eachPiece(slot, after: sent) { side.pointee.outbox.append($0) }
    }
    slot.pointee.outstandingBytes = UInt32(side.pointee.outbox.count)
  }

  /// No room. When older bytes wait, the turn's are whole frames: they are dropped, and a Close frame ends the stream
  /// that the peer may still read. Otherwise the kernel took a part of them, perhaps of a frame: nothing can follow.
  private func outgrown(_ slot: UnsafeMutablePointer<Slot>, _ side: UnsafeMutablePointer<Side>) {
    writer.counters.closedSlow &+= 1
    if side.pointee.outbox.isEmpty {
      slot.pointee.flags.insert(.failed)
      return
    }
    writer.framing.slowConsumer.withUnsafeBytes { side.pointee.outbox.append($0) }
    slot.pointee.flags.insert(.closing)
  }
}
