import AvaloCore
import AvaloLink
import AvaloTesting
import AvaloWire
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A gateway played by a test, over a real link to a real presence worker.
final class GatewayPlayer: Sendable {
  struct Received: Sendable {
    var kind: FrameKind
    var correlation: UInt32
    var body: [UInt8]
  }

  let incarnation: UInt64
  private let eventLoop: any EventLoop
  private let wire: NIOLoopBound<Wire>

  /// Links to the worker whose socket is in `folder`; says nothing yet.
  static func link(in folder: TestFolder, incarnation: UInt64 = 7) async throws -> GatewayPlayer {
    let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let wire = try await eventLoop.submit {
      NIOLoopBound(Wire("\(folder.path)/link.sock", incarnation, on: eventLoop), eventLoop: eventLoop)
    }.get()
    let player = GatewayPlayer(incarnation, eventLoop, wire)
    try await player.wait(for: "the link") { $0.isUp }
    return player
  }

  private init(_ incarnation: UInt64, _ eventLoop: any EventLoop, _ wire: NIOLoopBound<Wire>) {
    self.incarnation = incarnation
    self.eventLoop = eventLoop
    self.wire = wire
  }

  func send(_ message: some WireMessage, correlation: UInt32 = 0) {
    eventLoop.execute { [wire] in wire.value.link?.send(message, correlation: correlation) }
  }

  /// In one write: the worker reads them in one turn, unless it is very busy.
  func send(together messages: [any WireMessage & Sendable]) {
    eventLoop.execute { [wire] in for message in messages { wire.value.link?.send(message) } }
  }

  /// Names these sessions, as a snapshot.
  func snapshot(_ sessions: [Sessions.Entry]) {
    send(Sessions(entries: sessions))
    send(SessionsEnd())
  }

  /// The next message of a kind, leaving out all others.
  func next<Message: WireMessage>(_: Message.Type) async throws -> (message: Message, correlation: UInt32) {
    try await wait(for: "\(Message.self)") { wire in wire.received.contains { $0.kind == Message.kind } }
    let frame = try await eventLoop.submit { [wire] in
      let place = wire.value.received.firstIndex { $0.kind == Message.kind }!
      return wire.value.received.remove(at: place)
    }.get()
    return (try frame.body.withUnsafeBytes { try Message(body: $0) }, frame.correlation)
  }

  func ask<Answer: WireMessage>(_ question: some WireMessage, _: Answer.Type) async throws -> Answer {
    send(question, correlation: 1)
    return try await next(Answer.self).message
  }

  /// The link's end; it does not come back.
  func unlink() async throws { try await eventLoop.submit { [wire] in wire.value.stop() }.get() }

  func isUp() async throws -> Bool { try await eventLoop.submit { [wire] in wire.value.isUp }.get() }

  /// Waits until the link is there (again).
  func linked() async throws { try await wait(for: "the link") { $0.isUp } }

  private func wait(for what: String, until condition: @escaping @Sendable (Wire) -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while try await !eventLoop.submit({ [wire] in condition(wire.value) }).get() {
      guard ContinuousClock.now < deadline else { throw TimeIsUp(what: "for \(what)") }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  /// The link's owner, on its loop.
  fileprivate final class Wire: LinkDelegate {
    var received: [Received] = []
    var link: Link?
    var isUp: Bool { link != nil }
    private var client: LinkClient?

    init(_ path: String, _ incarnation: UInt64, on eventLoop: any EventLoop) {
      var log = Logger(label: "test")
      log.logLevel = .critical
      let client = LinkClient(
        path: path, name: "presence", on: eventLoop,
        hello: { Hello(role: "gateway", instance: "gateway.\(incarnation)", incarnation: incarnation) }, delegate: self,
        log: log)
      self.client = client
      client.start()
    }

    func stop() { client?.stop() }
    func linkOpened(_ link: Link, welcome: Welcome?) { self.link = link }
    func linkClosed(_ link: Link, reason: String) { self.link = nil }
    func linkDrained(_ link: Link) {}
    func link(_ link: Link, received frames: ByteBuffer) {
      link.walk(frames) { head, body in
        self.received.append(Received(kind: head.kind, correlation: head.correlation, body: Array(body)))
      }
    }
  }
}

extension Sessions.Entry {
  static func of(_ user: String, _ session: UInt64, device: String? = nil) -> Sessions.Entry {
    Sessions.Entry(
      session: session, user: user, device: device ?? "d\(session)", platform: .web, connectionID: "c\(session)",
      connectedMilliseconds: 1_700_000_000_000)
  }
}

struct TimeIsUp: Error, CustomStringConvertible {
  var what: String
  var description: String { "waited \(what): time is up" }
}
