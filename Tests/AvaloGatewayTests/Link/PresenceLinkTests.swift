import AvaloLink
import AvaloMetrics
import AvaloReactor
import AvaloSystem
import AvaloWire
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import AvaloGateway
@testable import AvaloReactor

/// The link over a real socket; the presence worker at its other end is the test.
@Suite struct PresenceLinkTests {
  private let clock = ManualClock()
  private let loop = MultiThreadedEventLoopGroup.singleton.next()

  private func with(
    _ body: (PlayedWorker, NIOLoopBound<PresenceLink>, Mailbox<HubMail>) async throws -> Void
  ) async throws {
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let folder = try TemporaryFolder()
    let worker = try await PlayedWorker(path: folder.path + "/link", on: loop, log)
    let mailbox = Mailbox<HubMail>(Waker(signal: {}))
    let link = try await loop.submit { [loop, clock] in
      let link = PresenceLink(
        eventLoop: loop, clock: clock.monotonic, metrics: GatewayMetrics(MetricsRegistry()), log: log)
      link.hubs = [mailbox]
      let hello = Hello(role: "gateway", instance: "gateway.0", incarnation: 1)
      link.start(
        LinkClient(
          path: folder.path + "/link", name: "presence", on: loop, hello: { hello }, delegate: link, log: log))
      return NIOLoopBound(link, eventLoop: loop)
    }.get()
    try await worker.opened()
    do {
      try await body(worker, link, mailbox)
    } catch {
      try await loop.submit { link.value.stop() }.get()
      try await worker.stop()
      throw error
    }
    try await loop.submit { link.value.stop() }.get()
    try await worker.stop()
  }

  private func end(_ chat: String, _ link: NIOLoopBound<PresenceLink>) async throws {
    try await loop.submit { link.value.tellForGood(PartnershipsEnded(chat: chat, users: ["ann"])) }.get()
  }

  /// Whatever was sent before is there when this is. The link may be on its way to here.
  private func mark(_ worker: PlayedWorker, _ link: NIOLoopBound<PresenceLink>) async throws {
    let typing = SetTyping(user: "ann", chat: "c", session: 0, device: "", isTyping: true)
    let deadline = ContinuousClock.now + .seconds(30)
    while case .failure(let error) = try await loop.submit({ link.value.tell(typing) }).get() {
      guard ContinuousClock.now < deadline else { throw error }
      try await Task.sleep(for: .milliseconds(5))
    }
    while let frame = await worker.next(), frame.kind != .setTyping {}
  }

  /// The worker may have died before its file had them; the one in its place is told before anything else.
  @Test func tellsANewLinkWhichMembersWereRemovedLately() async throws {
    try await with { worker, link, _ in
      try await mark(worker, link)
      try await end("old", link)
      clock.advance(by: GatewayLimits.freshRemovalAge)
      try await end("new", link)
      try await mark(worker, link)
      #expect(try await worker.takeRemovals() == ["old ann", "new ann"])
      for _ in 0..<2 {
        try await worker.cut()
        try await worker.opened()
        #expect(await worker.next()?.kind == .partnershipsEnded)
        try await mark(worker, link)
        #expect(try await worker.takeRemovals() == ["new ann"])
      }
      clock.advance(by: GatewayLimits.freshRemovalAge)
      try await worker.cut()
      try await worker.opened()
      try await mark(worker, link)
      #expect(try await worker.takeRemovals() == [])
    }
  }

  @Test func tellsHubsOfTheLinksEnd() async throws {
    try await with { worker, link, mailbox in
      try await mark(worker, link)
      try await worker.cut()
      try await worker.opened()
      try await mark(worker, link)
      var mail: [String] = []
      mailbox.drain {
        switch $0 {
        case .presenceUp: mail.append("up")
        case .presenceDown: mail.append("down")
        default: mail.append("other")
        }
      }
      #expect(mail == ["up", "down", "up"])
    }
  }
}
