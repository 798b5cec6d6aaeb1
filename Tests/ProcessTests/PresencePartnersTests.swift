import AvaloClient
import AvaloCore
import AvaloTesting
import Foundation
import Synchronization
import Testing

/// What is for chat partners alone, shown to those who watch and share a chat by `setChatMembers` only: real workers, more than
/// one gateway, and kills in between.
@Suite(.serialized) struct PresencePartnersTests {
  /// Which instance each of them is at, the kernel decides.
  private static let devices = 6

  /// Asks until the answer is a yes, as a careful backend does: a gateway may not have found the scheduler again.
  private func backend(_ server: RunningServer, _ name: String, _ data: String) async throws {
    try await waitUntil("\(name) is answered") {
      do {
        _ = try await server.backend().call(name, JSONText(validating: Array(data.utf8)))
        return true
      } catch ClientError.refused(let error) where error.code == .unavailable {
        return false
      }
    }
  }

  private func watch(_ server: RunningServer, _ user: String, _ token: String? = nil) async throws -> [PresenceWatcher]
  {
    var watchers: [PresenceWatcher] = []
    for device in 0..<Self.devices {
      watchers.append(
        PresenceWatcher(
          try await server.connect(
            user, device: "d\(device)", token: token, topics: ["user:" + user, "presence:ann"])))
    }
    return watchers
  }

  private func kill(_ worker: String, _ server: RunningServer) async throws {
    let pid = try #require(try await server.process.pid(of: worker))
    _ = Foundation.kill(pid, SIGKILL)
    try await server.process.wait(for: "\(worker) to be ready again") { status in
      status.instances(of: worker).allSatisfy { $0.pid != nil && $0.pid != pid && $0.state == "ready" }
    }
  }

  @Test func membersAreShownItAndNobodyElse() async throws {
    let server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    try await backend(server, "setChatMembers", #"{"chatId":"c1","userIds":["ann","bob"]}"#)
    let ann = PresenceWatcher(try await server.connect("ann", device: "phone", topics: ["user:ann"]))
    try await ann.call("updatePresenceV1", #"{"activity":"singing"}"#)
    let bobs = try await watch(server, "bob")
    let zoes = try await watch(server, "zoe")
    func wait(_ what: String, _ watchers: [PresenceWatcher], _ shown: String) async throws {
      try await waitUntil(what) { watchers.allSatisfy { $0.shown(of: "ann").last == shown } }
    }
    try await wait("members see it", bobs, "online singing")
    try await wait("others do not", zoes, "online")
    for bob in bobs { #expect(bob.shown(of: "ann") == ["online singing"], "from the first on") }
    try await ann.call("updatePresenceV1", #"{"activity":"dancing","status":"busy"}"#)
    try await wait("members see what changes", bobs, "busy dancing")
    try await wait("others see their part", zoes, "busy")

    try await kill("presence", server)
    try await ann.call("updatePresenceV1", #"{"status":"away"}"#)
    try await wait("it is shown after a restart of presence", bobs, "away dancing")
    try await kill("scheduler", server)
    try await ann.call("updatePresenceV1", #"{"status":"busy"}"#)
    try await wait("it is shown after a restart of the scheduler", bobs, "busy dancing")

    // Taken away: hidden when it is answered, and whatever comes is hidden.
    try await backend(server, "removeChatMembers", #"{"chatId":"c1","userIds":["bob"]}"#)
    try await ann.call("updatePresenceV1", #"{"activity":"at the doctor"}"#)
    try await ann.call("updatePresenceV1", #"{"status":"away"}"#)
    try await wait("nobody is shown it", bobs, "away")
    for bob in bobs { #expect(Array(bob.shown(of: "ann").suffix(2)) == ["busy", "away"]) }
    try await kill("presence", server)
    try await kill("scheduler", server)
    try await ann.call("updatePresenceV1", #"{"status":"busy"}"#)
    try await wait("it stays hidden", bobs, "busy")

    // Given again: shown without a change.
    try await backend(server, "addChatMembers", #"{"chatId":"c1","userIds":["bob"]}"#)
    try await wait("a new member is shown it", bobs, "busy at the doctor")

    // Forgotten: whoever has the name next is a stranger.
    try await backend(server, "eraseUser", #"{"userId":"bob"}"#)
    for bob in bobs { #expect(await bob.connection.closeReason.code == AccessProcessTests.revokedCode) }
    let others = try await watch(server, "bob", server.token("bob", issuedAt: server.nowSeconds + 1))
    try await wait("a namesake sees what everybody sees", others, "busy")
    for watcher in others + zoes + bobs { #expect(!watcher.shown(of: "ann").contains("away at the doctor")) }
    for watcher in zoes + others { #expect(watcher.shown(of: "ann").allSatisfy { !$0.contains(" ") }) }
    try await server.stop()
  }

  /// Whatever a member says while they are removed, and whenever presence dies.
  @Test func whoUpdatesWhileTheyAreRemovedShowsNothing() async throws {
    let server = try await RunningServer.start()
    let users = (0..<30).map { "u\($0)" }
    let names = users.map { "\"\($0)\"" }.joined(separator: ",")
    try await backend(server, "setChatMembers", #"{"chatId":"c1","userIds":["ann",\#(names)]}"#)
    let update = try JSONText(validating: #"{"activity":"singing"}"#)
    func shown() async throws -> [String] {
      let asked = try JSONText(validating: #"{"userIds":[\#(names)]}"#)
      let answers = Mutex<JSONText?>(nil)
      try await waitUntil("presence answers") {
        let answer = try? await server.user("ann").call("getPresenceV1", asked)
        answers.withLock { $0 = answer }
        return answer != nil
      }
      let answer = try #require(answers.withLock { $0 })
      return answer.read { json in
        var shown: [String] = []
        json["presence"]?.forEachMember { user, state in
          if state["activity"]?.string != nil { shown.append(user.string ?? "") }
        }
        return shown
      }
    }
    for user in users.prefix(2) { _ = try await server.user(user).call("updatePresenceV1", update) }
    #expect(try await shown() == Array(users.prefix(2)))
    for (number, user) in users.enumerated() {
      async let updated = server.user(user).call("updatePresenceV1", update)
      if number % 2 == 0 { await Task.yield() }
      try await backend(server, "removeChatMembers", #"{"chatId":"c1","userIds":["\#(user)"]}"#)
      _ = try await updated
    }
    #expect(try await shown().isEmpty)
    // Just after a removal: the file may not have it.
    try await backend(server, "addChatMembers", #"{"chatId":"c1","userIds":["u0"]}"#)
    _ = try await server.user("u0").call("updatePresenceV1", update)
    #expect(try await shown() == ["u0"])
    try await backend(server, "removeChatMembers", #"{"chatId":"c1","userIds":["u0"]}"#)
    try await kill("presence", server)
    #expect(try await shown().isEmpty)
    try await server.stop()
  }

  /// The gateway that stands still is not waited for; when it goes on, what was said meanwhile is not for the removed member.
  @Test func aStoppedGatewayShowsNothingOfWhatCameAfterARemoval() async throws {
    let server = try await RunningServer.start(environment: ["AVALO_WORKERS__GATEWAY__INSTANCES": "2"])
    try await backend(server, "setChatMembers", #"{"chatId":"c1","userIds":["ann","bob"]}"#)
    let ann = PresenceWatcher(try await server.connect("ann", device: "phone", topics: ["user:ann"]))
    try await ann.call("updatePresenceV1", #"{"activity":"singing"}"#)
    let bobs = try await watch(server, "bob") + watch(server, "bob")
    try await waitUntil("they see it") { bobs.allSatisfy { $0.shown(of: "ann").last == "online singing" } }
    let stopped = try #require(try await server.process.pid(of: "gateway", slot: 1))
    _ = Foundation.kill(stopped, SIGSTOP)
    try await server.first(of: 12) { server in
      let members = try JSONText(validating: #"{"chatId":"c1","userIds":["bob"]}"#)
      _ = try await server.backend().call("removeChatMembers", members)
    }
    try await server.first(of: 12) { server in
      let update = try JSONText(validating: #"{"activity":"at the doctor","status":"away"}"#)
      _ = try await server.user("ann").call("updatePresenceV1", update)
    }
    _ = Foundation.kill(stopped, SIGCONT)
    // On a very slow machine its watchdog may have replaced it.
    try await waitUntil("all know what everybody may know") {
      bobs.allSatisfy { $0.read.hasEnded || $0.shown(of: "ann").last == "away" }
    }
    for bob in bobs { #expect(!bob.shown(of: "ann").contains { $0.hasSuffix("at the doctor") }) }
    try await server.stop()
  }
}
