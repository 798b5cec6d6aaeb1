import AvaloCore
import AvaloTesting
import AvaloWire
import Foundation
import Testing

@testable import AvaloPresence

/// What members who are removed show to those who stay: the real worker, with a gateway played by the test. Of users whom only
/// the file knows what comes waits until that was read.
@Suite(.serialized) struct PresenceRoomPartnersTests {
  private func start(in folder: TestFolder = TestFolder()) async throws -> (WorkerProcess, GatewayPlayer) {
    let worker = try await WorkerProcess.start("avalo-presence", sockets: ["link", "metrics"], in: folder)
    let gateway = try await GatewayPlayer.link(in: worker.folder)
    gateway.snapshot([])
    return (worker, gateway)
  }

  private func update(_ user: String) -> SetPresence { SetPresence(user: user, activity: .set("chess"), chats: ["c"]) }
  private func removal(_ users: [String]) -> PartnershipsEnded { PartnershipsEnded(chat: "c", users: users) }
  private func look(_ users: [String]) -> PresenceQuery { PresenceQuery(users: users, viewer: "zoe", chats: ["c"]) }

  private func shown(_ gateway: GatewayPlayer, _ users: [String]) async throws -> [String] {
    let entries = try await gateway.ask(look(users), PresenceAnswer.self).entries
    return zip(users, entries).compactMap { $1.state.activity.isEmpty ? nil : $0 }
  }

  @Test func aRemovalEndsWhatAnUpdateBeforeItSaid() async throws {
    let (worker, gateway) = try await start()
    let removed = (0..<40).map { "r\($0)" }
    let again = (0..<10).map { "a\($0)" }
    var messages: [any WireMessage & Sendable] = []
    for user in removed { messages += [update(user), removal([user])] }
    for user in again { messages += [update(user), removal([user]), update(user)] }
    gateway.send(together: messages)
    for _ in 0..<(removed.count + 2 * again.count) { _ = try await gateway.next(PresenceSet.self) }
    #expect(try await shown(gateway, removed + again) == again, "a later update says that they are in it again")
    try await worker.process.stop()
  }

  /// The worker dies before it hears of the removal, or before it writes; the next one is told first of all. Who asks at once
  /// is the first to have the file read.
  @Test func aQuestionBehindARemovalIsAnsweredAfterIt() async throws {
    let folder = TestFolder()
    let users = (0..<40).map { "u\($0)" }
    let (first, before) = try await start(in: folder)
    before.send(together: users.map { update($0) })
    for _ in users { _ = try await before.next(PresenceSet.self) }
    #expect(try await shown(before, users) == users)
    first.process.signal(SIGKILL)
    _ = try await first.process.ending()
    try await before.unlink()

    let (second, gateway) = try await start(in: folder)
    gateway.send(together: [removal(users), look(users)])
    let answer = try await gateway.next(PresenceAnswer.self).message
    #expect(answer.entries.map(\.state.activity) == users.map { _ in "" })
    // And the file has it.
    gateway.send(together: [look(users)])
    _ = try await gateway.next(PresenceAnswer.self)
    try await gateway.unlink()
    try await second.process.stop()
    let (third, after) = try await start(in: folder)
    #expect(try await shown(after, users).isEmpty)
    try await third.process.stop()
  }
}
