import AvaloReactor
import NIOCore

/// One `NIOWebSocketTransport` for every event loop of a group. Sendable: each is reached only on its loop.
final class NIOWebSocketTransports: Sendable {
  private let byLoop: [ObjectIdentifier: NIOLoopBound<NIOWebSocketTransport>]
  private let loops: [any EventLoop]

  /// No transports: every connection is plain, and goes to a reactor.
  static let none = NIOWebSocketTransports([])

  private init(_ transports: [NIOLoopBound<NIOWebSocketTransport>]) {
    loops = transports.map(\.eventLoop)
    byLoop = Dictionary(uniqueKeysWithValues: transports.map { (ObjectIdentifier($0.eventLoop), $0) })
  }

  /// `make` runs once on each loop.
  static func start(
    on group: any EventLoopGroup, settings: LoopSettings, addresses: AddressBudget? = nil,
    clock: LoopClock = .monotonic, make: @escaping @Sendable (NIOWebSocketTransport) -> any LoopApplication
  ) async throws -> NIOWebSocketTransports {
    var transports: [NIOLoopBound<NIOWebSocketTransport>] = []
    for eventLoop in group.makeIterator() {
      transports.append(
        try await eventLoop.submit {
          let transport = try NIOWebSocketTransport(
            eventLoop, settings: settings, addresses: addresses, clock: clock, make: make)
          return NIOLoopBound(transport, eventLoop: eventLoop)
        }.get())
    }
    return NIOWebSocketTransports(transports)
  }

  /// On that loop.
  func transport(on eventLoop: any EventLoop) -> NIOWebSocketTransport? {
    byLoop[ObjectIdentifier(eventLoop)]?.value
  }

  /// Drops what is left.
  func stop() async throws {
    for eventLoop in loops {
      try await eventLoop.submit { self.transport(on: eventLoop)?.stop() }.get()
    }
  }
}
