import AvaloCore
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

/// The link over a real socket; the scheduler at its other end, and the hubs, are the test.
@Suite struct SchedulerLinkTests {
  private let revocation = Revocation(.user("ann"), issuedBeforeMilliseconds: 100, untilMilliseconds: .max)
  private let ann = TokenName(user: "ann", issuedAtMilliseconds: 99)

  private func publish(_ id: String) -> Publish {
    Publish(owner: "shop", topic: Topic("user:ann")!, contentHash: 1, record: record(id))
  }

  @Test func saysNothingBeforeTheStateOfAccessIsKnown() async throws {
    try await LinkRig.with { rig in
      let published = rig.publish(publish("a"))
      try await rig.scheduler.opened()
      // Not known yet: nobody is believed, nothing is asked, nobody hears of a link.
      #expect(!rig.revocations.isCurrent)
      await #expect(throws: CallError.self) { try await rig.ask(Revoke(revocation)) }
      try await rig.scheduler.send { writer in
        writer.frame(AccessChanged(position: 7, changes: [.revoked(revocation)]))
        writer.frame(AccessLive(position: 7))
      }
      let (kind, correlation) = try #require(await rig.scheduler.next())
      #expect(kind == .publish)
      #expect(rig.revocations.isCurrent && rig.revocations.covers(ann))
      #expect(await rig.mail(1) == ["up 1"])
      #expect(await rig.mail(2) == ["up 1"])
      try await rig.scheduler.send {
        $0.frame(Published(position: .none, durability: .os, duplicate: false), correlation: correlation)
      }
      #expect(try await published.value.durability == .os)
    }
  }

  @Test func confirmsWhatEveryLoopHasInForce() async throws {
    try await LinkRig.with { rig in
      try await rig.goLive(at: 3)
      try await rig.scheduler.send { $0.frame(AccessChanged(position: 4, changes: [.revoked(revocation)])) }
      #expect(await rig.mail(1) == ["access 4"])
      #expect(await rig.mail(2) == ["access 4"])
      #expect(rig.revocations.covers(ann))
      try await rig.applied(4, loop: 1)
      // Of another link it means nothing.
      try await rig.applied(4, loop: 2, link: 9)
      try await rig.applied(4, loop: 2)
      #expect(await rig.scheduler.next()?.kind == .accessConfirmed)
      #expect(await rig.scheduler.confirmed == [4])
    }
  }

  /// Told at once, and again when no loop has anything on its way from before, which is before it is confirmed, and on a lost
  /// link, too.
  @Test func tellsOfRemovedMembersAgainWhenEveryLoopHasItInForce() async throws {
    try await LinkRig.with { rig in
      try await rig.goLive(at: 3)
      try await rig.scheduler.send {
        $0.frame(AccessChanged(position: 4, changes: [.removed(Topic("chat:c")!, users: ["ann", "bob"])]))
      }
      for loop in 1...2 { #expect(await rig.mail(loop) == ["access 4"]) }
      let heard = "chat:c ann,bob heard"
      let inForce = "chat:c ann,bob in force"
      #expect(try await rig.removed() == [heard])
      try await rig.applied(4, loop: 1)
      #expect(try await rig.removed() == [heard])
      #expect(await rig.scheduler.confirmed == [])
      try await rig.applied(4, loop: 2)
      #expect(try await rig.removed() == [heard, inForce])
      #expect(await rig.scheduler.next()?.kind == .accessConfirmed)

      try await rig.scheduler.send {
        $0.frame(AccessChanged(position: 5, changes: [.removed(Topic("chat:c")!, users: ["eve"])]))
      }
      for loop in 1...2 { #expect(await rig.mail(loop) == ["access 5"]) }
      try await rig.scheduler.cut()
      for loop in 1...2 { #expect(await rig.mail(loop) == ["down"]) }
      for loop in UInt8(1)...2 { try await rig.applied(5, loop: loop) }
      #expect(try await rig.removed().suffix(2) == ["chat:c eve heard", "chat:c eve in force"])
    }
  }

  /// Steps and the answers around them reach a hub in the link's order.
  @Test func keepsAStepAtItsPlace() async throws {
    try await LinkRig.with { rig in
      try await rig.goLive(at: 0)
      let attached = Attached(answers: [])
      try await rig.scheduler.send { writer in
        writer.frame(attached, correlation: 1 << 24 | 1)
        writer.frame(AccessChanged(position: 1, changes: []))
        writer.frame(attached, correlation: 1 << 24 | 2)
        writer.frame(attached, correlation: 2 << 24 | 3)
        writer.frame(AccessChanged(position: 2, changes: []))
      }
      #expect(await rig.mail(1, 4) == ["frames 1", "access 1", "frames 1", "access 2"])
      #expect(await rig.mail(2, 3) == ["access 1", "frames 1", "access 2"])
    }
  }

  @Test func givesUpWhatMayNotBeAskedTwice() async throws {
    try await LinkRig.with { rig in
      try await rig.goLive(at: 0)
      let published = rig.publish(publish("a"))
      #expect(await rig.scheduler.next()?.kind == .publish)
      let revoked = rig.asking(Revoke(revocation))
      #expect(await rig.scheduler.next()?.kind == .revoke)
      try await rig.scheduler.cut()
      await #expect(throws: CallError.schedulerLost) { try await revoked.value }
      #expect(await rig.mail(1) == ["down"])
      try await rig.scheduler.opened()
      try await rig.scheduler.send { $0.frame(AccessLive(position: 0)) }
      // The log knows its id: it is asked again.
      let (kind, correlation) = try #require(await rig.scheduler.next())
      #expect(kind == .publish)
      try await rig.scheduler.send {
        $0.frame(Published(position: .none, durability: .disk, duplicate: true), correlation: correlation)
      }
      #expect(try await published.value.duplicate)
    }
  }

  @Test func answersWhatIsAsked() async throws {
    try await LinkRig.with { rig in
      try await rig.goLive(at: 0)
      let changed = rig.asking(ChangeMembers(chat: "c", change: .add, users: ["ann"]))
      let first = try #require(await rig.scheduler.next())
      #expect(first.kind == .changeMembers)
      try await rig.scheduler.send {
        $0.frame(MembersChanged(added: 1, removed: 0, members: 1), correlation: first.correlation)
      }
      #expect(try await changed.value == MembersChanged(added: 1, removed: 0, members: 1))

      let refused = rig.asking(Revoke(revocation))
      let second = try #require(await rig.scheduler.next())
      try await rig.scheduler.send { $0.frame(Failed(.resourceExhausted, "full"), correlation: second.correlation) }
      await #expect(throws: CallError(.resourceExhausted, "full")) { try await refused.value }

      // Another answer than belongs to it is a defect, told as such.
      let confused = rig.asking(Revoke(revocation))
      let third = try #require(await rig.scheduler.next())
      try await rig.scheduler.send {
        $0.frame(MembersChanged(added: 1, removed: 0, members: 1), correlation: third.correlation)
      }
      await #expect(throws: CallError.wrongAnswer) { try await confused.value }
    }
  }

  @Test func cutsASchedulerThatTellsAccessOutOfOrder() async throws {
    try await LinkRig.with { rig in
      try await rig.goLive(at: 5)
      try await rig.scheduler.send { $0.frame(AccessChanged(position: 5, changes: [])) }
      // And links again.
      try await rig.scheduler.opened()
    }
  }
}

/// Confined to the link's loop.
private final class Removals { var all: [String] = [] }

/// A link under test between a scheduler and two hubs that are played. `@unchecked`: what changes is touched on the loop.
private final class LinkRig: @unchecked Sendable {
  let scheduler: PlayedWorker
  let revocations: Revocations
  private let loop: any EventLoop
  private let link: NIOLoopBound<SchedulerLink>
  private let removals: NIOLoopBound<Removals>
  private let mailboxes: [Mailbox<HubMail>]
  private let wakers: [Waker]
  private let woken: [AsyncStream<Void>]
  private let folder: TemporaryFolder

  static func with(_ body: (LinkRig) async throws -> Void) async throws {
    let rig = try await LinkRig()
    do {
      try await body(rig)
    } catch {
      try await rig.stop()
      throw error
    }
    try await rig.stop()
  }

  private init() async throws {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let revocations = Revocations(clock: .system)
    let folder = try TemporaryFolder()
    var mailboxes: [Mailbox<HubMail>] = []
    var wakers: [Waker] = []
    var woken: [AsyncStream<Void>] = []
    for _ in 0..<2 {
      let (stream, wake) = AsyncStream.makeStream(of: Void.self)
      wakers.append(Waker(signal: { wake.yield() }))
      mailboxes.append(Mailbox(wakers[wakers.count - 1]))
      woken.append(stream)
    }
    scheduler = try await PlayedWorker(path: folder.path + "/link", on: loop, log)
    let hubs = mailboxes
    let removals = try await loop.submit { NIOLoopBound(Removals(), eventLoop: loop) }.get()
    link = try await loop.submit {
      let link = SchedulerLink(
        eventLoop: loop, clock: .system, revocations: revocations, metrics: GatewayMetrics(MetricsRegistry()), log: log)
      let told = removals.value
      link.membersRemoved = { topic, users, isInForce in
        told.all.append("\(topic) \(users.joined(separator: ",")) \(isInForce ? "in force" : "heard")")
      }
      let hello = Hello(role: "gateway", instance: "gateway.0", incarnation: 1)
      link.start(
        hubs,
        LinkClient(
          path: folder.path + "/link", name: "scheduler", on: loop, hello: { hello }, delegate: link, log: log))
      return NIOLoopBound(link, eventLoop: loop)
    }.get()
    self.loop = loop
    self.removals = removals
    self.revocations = revocations
    self.mailboxes = mailboxes
    self.wakers = wakers
    self.woken = woken
    self.folder = folder
  }

  private func stop() async throws {
    try await loop.submit { self.link.value.stop() }.get()
    try await scheduler.stop()
  }

  func goLive(at position: UInt64) async throws {
    try await scheduler.opened()
    try await scheduler.send { $0.frame(AccessLive(position: position)) }
    for loop in 1...2 { #expect(await mail(loop) == ["up 1"]) }
  }

  func publish(_ publish: Publish) -> Task<Published, any Error> {
    Task {
      try await withCheckedThrowingContinuation { continuation in
        loop.execute { self.link.value.publish(publish) { continuation.resume(with: $0) } }
      }
    }
  }

  func ask<Request: WireRequest>(_ request: Request) async throws -> Request.Answer {
    try await withCheckedThrowingContinuation { continuation in
      loop.execute { self.link.value.ask(request) { continuation.resume(with: $0) } }
    }
  }

  func asking<Request: WireRequest>(_ request: Request) -> Task<Request.Answer, any Error> {
    Task { try await ask(request) }
  }

  func applied(_ position: UInt64, loop: UInt8, link number: UInt32 = 1) async throws {
    try await self.loop.submit { self.link.value.accessApplied(position, loop: loop, number: number) }.get()
  }

  /// What was told of removed members.
  func removed() async throws -> [String] { try await loop.submit { self.removals.value.all }.get() }

  /// The next mail of a hub, `count` pieces of it.
  func mail(_ hub: Int, _ count: Int = 1) async -> [String] {
    var all: [String] = []
    func take() {
      mailboxes[hub - 1].drain { mail in
        switch mail {
        case .schedulerUp(let link): all.append("up \(link)")
        case .schedulerDown: all.append("down")
        case .access(let step): all.append("access \(step.position)")
        case .scheduler(let frames): all.append("frames \(frames.readableBytes / Frame.headBytes)")
        default: all.append("other")
        }
      }
    }
    var signals = woken[hub - 1].makeAsyncIterator()
    while true {
      wakers[hub - 1].answered()
      take()
      guard all.count < count else { return all }
      await signals.next()
    }
  }
}
