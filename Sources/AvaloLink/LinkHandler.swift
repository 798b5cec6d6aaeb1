import AvaloWire
import Logging
import NIOCore

/// One end of a link on its channel: shakes hands, cuts frames, answers probes, notices silence. Confined to its loop.
final class LinkHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  /// Which end this is, and what it says first.
  enum Side {
    case connecting(hello: Hello)
    case accepting(welcome: (Hello) -> Result<Welcome, Failed>)
  }

  /// How far the channel came.
  enum Stage {
    case unconnected
    case shakingHands
    case open
  }

  private let link: Link
  private let side: Side
  private let bounds: LinkBounds
  private let counters: LinkCounters?
  private weak var delegate: (any LinkDelegate)?
  /// For who made the link; called before the delegate.
  private let onOpen: (Link) -> Void
  /// Called once, however far it came.
  private let onEnd: (Link, Stage) -> Void

  private var stage = Stage.unconnected
  private var ended = false
  private let accumulator = FrameAccumulator()
  private var handshakeDeadline: Scheduled<Void>?
  private var probes: RepeatedTask?
  private var heard = true
  private var silentIntervals = 0

  init(
    link: Link, side: Side, bounds: LinkBounds, counters: LinkCounters?, delegate: (any LinkDelegate)?,
    onOpen: @escaping (Link) -> Void = { _ in }, onEnd: @escaping (Link, Stage) -> Void
  ) {
    self.link = link
    self.side = side
    self.bounds = bounds
    self.counters = counters
    self.delegate = delegate
    self.onOpen = onOpen
    self.onEnd = onEnd
    accumulator.bodyBytesMax = LinkLimits.handshakeBytesMax
    link.onDrained = { [weak delegate] in delegate?.linkDrained($0) }
  }

  func channelActive(context: ChannelHandlerContext) {
    stage = .shakingHands
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    handshakeDeadline = context.eventLoop.scheduleTask(in: bounds.handshakeTimeMax) {
      bound.value.link.close(reason: "no hand-shake in time", level: .warning)
      // A refused link may be closed already and still wait for its last write.
      bound.value.link.cut()
    }
    if case .connecting(let hello) = side { link.send(hello) }
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let arrived = unwrapInboundIn(data)
    heard = true
    counters?.countReceived(bytes: arrived.readableBytes)
    do throws(WireError) {
      try accumulator.receive(arrived) { piece in
        guard !link.isClosed else { return false }
        switch (piece, stage) {
        case (.run(let frames), .open): delegate?.link(link, received: frames)
        case (.run(let frames), .shakingHands): refused(frames)
        case (.own(let head, let body), .shakingHands): shakeHands(head, body)
        case (.own(let head, let body), .open): answer(head, body)
        case (_, .unconnected): break
        }
        return !link.isClosed
      }
    } catch {
      link.close(reason: "not a frame: \(error)", level: .error)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    link.close(reason: "\(error)", level: .notice)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  // MARK: Hand-shake

  private func shakeHands(_ head: Frame.Head, _ body: ByteBuffer) {
    switch (side, head.kind) {
    case (.accepting(let welcome), .hello):
      guard let hello = parse(Hello.self, head, body) else { return }
      link.name = hello.instance
      guard hello.version == Hello.currentVersion else {
        let reason = "link version \(hello.version) of \(hello.instance); this side speaks \(Hello.currentVersion)"
        return link.refuse(Failed(.failedPrecondition, reason), reason: reason)
      }
      switch welcome(hello) {
      case .failure(let failed): link.refuse(failed, reason: failed.message)
      case .success(let answer):
        link.peer = hello
        link.send(answer)
        open(welcome: nil)
      }
    case (.connecting, .welcome):
      guard let welcome = parse(Welcome.self, head, body) else { return }
      guard welcome.version == Hello.currentVersion else {
        return link.close(reason: "link version \(welcome.version), not \(Hello.currentVersion)", level: .error)
      }
      open(welcome: welcome)
    default: unexpected(head.kind)
    }
  }

  /// Before the hand-shake only a refusal may come, on the connecting side.
  private func refused(_ frames: ByteBuffer) {
    guard case .connecting = side, let head = frames.withUnsafeReadableBytes({ try? Frame.head(of: $0) }),
      head.kind == .failed, let body = frames.getSlice(at: frames.readerIndex + Frame.headBytes, length: head.bodyBytes)
    else { return unexpected(frames.withUnsafeReadableBytes { try? Frame.head(of: $0) }?.kind ?? .failed) }
    guard let failed = parse(Failed.self, head, body) else { return }
    link.close(reason: "refused: \(failed.code.wireName): \(failed.message)", level: .warning)
  }

  private func open(welcome: Welcome?) {
    stage = .open
    handshakeDeadline?.cancel()
    accumulator.bodyBytesMax = WireLimits.frameBodyBytesMax
    counters?.countOpened()
    link.log.debug("link opened", metadata: ["link": "\(link.name)"])
    let bound = NIOLoopBound(self, eventLoop: link.eventLoop)
    probes = link.eventLoop.scheduleRepeatedTask(initialDelay: bounds.probeInterval, delay: bounds.probeInterval) { _ in
      bound.value.checkSilence()
    }
    onOpen(link)
    delegate?.linkOpened(link, welcome: welcome)
  }

  // MARK: Life

  private func answer(_ head: Frame.Head, _ body: ByteBuffer) {
    switch head.kind {
    case .probe: if parse(Probe.self, head, body) != nil { link.send(Probed(), correlation: head.correlation) }
    case .probed: _ = parse(Probed.self, head, body)
    default: unexpected(head.kind)
    }
  }

  /// Counts intervals rather than time: when this process itself stood still, nobody else was silent.
  private func checkSilence() {
    guard stage == .open, !link.isClosed else { return }
    if heard {
      heard = false
      silentIntervals = 0
      return
    }
    silentIntervals += 1
    guard silentIntervals < bounds.silentIntervalsMax else {
      return link.close(reason: "silent for \(silentIntervals) probes", level: .warning)
    }
    link.send(Probe())
  }

  private func end() {
    guard !ended else { return }
    ended = true
    handshakeDeadline?.cancel()
    probes?.cancel()
    link.ended()
    onEnd(link, stage)
    guard stage == .open else { return }
    counters?.countClosed()
    // Later: an owner that closes a link hears of the end after it has returned, not within its own call.
    let bound = NIOLoopBound(self, eventLoop: link.eventLoop)
    link.eventLoop.execute {
      let handler = bound.value
      handler.delegate?.linkClosed(handler.link, reason: handler.link.closeReason ?? "closed by the peer")
    }
  }

  private func parse<Message: WireMessage>(_: Message.Type, _ head: Frame.Head, _ body: ByteBuffer) -> Message? {
    do {
      return try body.withUnsafeReadableBytes { try Message(body: $0) }
    } catch {
      link.close(reason: "frame of kind 0x\(String(head.kind.rawValue, radix: 16)): \(error)", level: .error)
      return nil
    }
  }

  private func unexpected(_ kind: FrameKind) {
    link.close(reason: "frame of kind 0x\(String(kind.rawValue, radix: 16)) out of turn", level: .error)
  }
}
