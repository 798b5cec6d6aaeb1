import AvaloReactor
import NIOCore

/// One `NIOTransport` for every event loop of a group. Sendable: each is reached only on its loop.
final class NIOTransports: Sendable {
  private let byLoop: [ObjectIdentifier: NIOLoopBound<NIOTransport>]
  private let loops: [any EventLoop]

  /// No transports: every connection is plain, and goes to a reactor.
  static let none = NIOTransports([])

  private init(_ transports: [NIOLoopBound<NIOTransport>]) {
    loops = transports.map(\.eventLoop)
    byLoop = Dictionary(uniqueKeysWithValues: transports.map { (ObjectIdentifier($0.eventLoop), $0) })
  }

  /// `make` runs once on each loop.
  static func start(
    on group: any EventLoopGroup, settings: LoopSettings, addresses: AddressBudget? = nil,
    clock: LoopClock = .monotonic, make: @escaping @Sendable (NIOTransport) -> any LoopApplication
  ) async throws -> NIOTransports {
    var transports: [NIOLoopBound<NIOTransport>] = []
    for eventLoop in group.makeIterator() {
      transports.append(
        try await eventLoop.submit {
          let transport = try NIOTransport(
            eventLoop, settings: settings, addresses: addresses, clock: clock, make: make)
          return NIOLoopBound(transport, eventLoop: eventLoop)
        }.get())
    }
    return NIOTransports(transports)
  }

  /// On that loop.
  func transport(on eventLoop: any EventLoop) -> NIOTransport? {
    byLoop[ObjectIdentifier(eventLoop)]?.value
  }

  /// Drops what is left.
  func stop() async throws {
    for eventLoop in loops {
      try await eventLoop.submit { self.transport(on: eventLoop)?.stop() }.get()
    }
  }
}
