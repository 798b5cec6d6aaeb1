import AvaloWire
import Logging
import NIOCore
import NIOPosix

/// Keeps one link to a neighbour: connects, and connects again for ever until it is stopped. Confined to its event loop.
public final class LinkClient {
  public let eventLoop: any EventLoop
  /// The open link.
  public private(set) var link: Link?

  private let path: String
  private let name: String
  private let hello: () -> Hello
  private weak var delegate: (any LinkDelegate)?
  private let bounds: LinkBounds
  private let counters: LinkCounters?
  private let log: Logger
  private var backoff: Backoff
  private var running = false
  /// The link of the current attempt, open or not.
  private var current: Link?
  private var retry: Scheduled<Void>?
  private var failureLogged = false

  /// `name` is what we connect to, for log lines. `hello` is asked anew for each attempt. The delegate is not kept alive.
  public init(
    path: String, name: String, on eventLoop: any EventLoop, hello: @escaping () -> Hello,
    delegate: any LinkDelegate, bounds: LinkBounds = LinkBounds(), counters: LinkCounters? = nil, log: Logger,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.path = path
    self.name = name
    self.eventLoop = eventLoop
    self.hello = hello
    self.delegate = delegate
    self.bounds = bounds
    self.counters = counters
    self.log = log
    backoff = Backoff(random: random)
  }

  /// Starts connecting.
  public func start() {
    eventLoop.preconditionInEventLoop()
    guard !running else { return }
    running = true
    connect()
  }

  /// Closes the link and connects no more. The delegate is told of an open link's end.
  public func stop() {
    eventLoop.preconditionInEventLoop()
    running = false
    retry?.cancel()
    retry = nil
    current?.close(reason: "shutting down")
  }

  private func connect() {
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    ClientBootstrap(group: eventLoop)
      .connectTimeout(bounds.handshakeTimeMax)
      .channelOption(.recvAllocator, value: linkReadAllocator)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try bound.value.add(channel) }
      }
      .connect(unixDomainSocketPath: path)
      .whenFailure { error in
        bound.value.failed("\(error)")
      }
  }

  private func add(_ channel: any Channel) throws {
    guard running else { throw ChannelError.eof }
    let link = Link(channel: channel, name: name, bounds: bounds, counters: counters, log: log)
    current = link
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    let handler = LinkHandler(
      link: link, side: .connecting(hello: hello()), bounds: bounds, counters: counters, delegate: delegate,
      onOpen: { bound.value.opened($0) }, onEnd: { bound.value.ended($0, $1) })
    try channel.pipeline.syncOperations.addHandler(handler)
  }

  private func opened(_ link: Link) {
    self.link = link
    backoff.reset()
    if failureLogged { log.notice("link is back", metadata: ["link": "\(name)"]) }
    failureLogged = false
  }

  /// The channel of an attempt is gone. One that never connected is told by the connect itself.
  private func ended(_ link: Link, _ stage: LinkHandler.Stage) {
    guard current === link else { return }
    current = nil
    self.link = nil
    switch stage {
    case .unconnected: break
    case .shakingHands: failed(link.closeReason ?? "closed before the hand-shake")
    case .open: failed(link.closeReason ?? "closed by the peer")
    }
  }

  private func failed(_ reason: String) {
    guard running, retry == nil else { return }
    let delay = backoff.next()
    // Once an outage, not once an attempt.
    let level: Logger.Level = failureLogged ? .debug : .notice
    failureLogged = true
    log.log(
      level: level, "link lost, connecting again",
      metadata: ["link": "\(name)", "reason": "\(reason)", "path": "\(path)"])
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    retry = eventLoop.scheduleTask(in: delay) {
      let client = bound.value
      client.retry = nil
      if client.running { client.connect() }
    }
  }
}
