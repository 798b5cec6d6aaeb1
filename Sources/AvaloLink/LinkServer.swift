import AvaloWire
import Logging
import NIOCore
import NIOPosix

/// Accepts links on a listening Unix socket. Confined to its event loop, and so are its links.
public final class LinkServer {
  public let eventLoop: any EventLoop
  /// Those that are open or shaking hands.
  public private(set) var links: [ObjectIdentifier: Link] = [:]

  private let descriptor: CInt
  private let welcome: (Hello) -> Result<Welcome, Failed>
  private weak var delegate: (any LinkDelegate)?
  private let bounds: LinkBounds
  private let counters: LinkCounters?
  private let log: Logger
  private var listener: (any Channel)?
  private var stopped = false

  /// Takes over `descriptor`, a bound Unix stream socket. `welcome` decides about each ``Hello`` whose version fits:
  /// its role, and whether this process takes links yet. The delegate is not kept alive.
  public init(
    listening descriptor: CInt, on eventLoop: any EventLoop, welcome: @escaping (Hello) -> Result<Welcome, Failed>,
    delegate: any LinkDelegate, bounds: LinkBounds = LinkBounds(), counters: LinkCounters? = nil, log: Logger
  ) {
    self.descriptor = descriptor
    self.eventLoop = eventLoop
    self.welcome = welcome
    self.delegate = delegate
    self.bounds = bounds
    self.counters = counters
    self.log = log
  }

  /// Starts accepting. The future fails when the descriptor is none that can be accepted from.
  @discardableResult
  public func start() -> EventLoopFuture<Void> {
    eventLoop.preconditionInEventLoop()
    precondition(listener == nil && !stopped, "a link server starts once")
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    return ServerBootstrap(group: eventLoop)
      .serverChannelOption(.backlog, value: 128)
      .childChannelOption(.recvAllocator, value: linkReadAllocator)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try bound.value.add(channel) }
      }
      .withBoundSocket(descriptor)
      .map { channel in
        let server = bound.value
        if server.stopped { channel.close(promise: nil) } else { server.listener = channel }
      }
  }

  /// Accepts no more and closes every link.
  public func stop() {
    eventLoop.preconditionInEventLoop()
    stopped = true
    listener?.close(promise: nil)
    listener = nil
    for link in Array(links.values) { link.close(reason: "shutting down") }
  }

  private func add(_ channel: any Channel) throws {
    guard !stopped, links.count < LinkLimits.linksMax else {
      log.warning("link refused", metadata: ["reason": "there are \(links.count) links"])
      throw ChannelError.eof
    }
    let link = Link(channel: channel, name: "new", bounds: bounds, counters: counters, log: log)
    links[ObjectIdentifier(link)] = link
    let handler = LinkHandler(
      link: link, side: .accepting(welcome: welcome), bounds: bounds, counters: counters, delegate: delegate,
      onEnd: { [weak self] link, _ in self?.links.removeValue(forKey: ObjectIdentifier(link)) })
    try channel.pipeline.syncOperations.addHandler(handler)
  }
}

let linkReadAllocator = AdaptiveRecvByteBufferAllocator(
  minimum: LinkLimits.readBytesMin, initial: LinkLimits.readBytesMin, maximum: LinkLimits.readBytesMax)
