import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// Which chats members' updates name while they are removed from one: the presence worker keeps what it is told.
@Suite struct HubPartnersUpdateTests {
  private let head = Position(epoch: testEpoch, offset: 0)

  /// What a member's update says because of an older answer is on its way before the removal is confirmed; behind that the
  /// presence worker is told again.
  @Test func sendsWhatComesOfAnOlderAnswerBeforeARemovalIsConfirmed() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    loop.say(ann, #"{"id":1,"call":"updatePresenceV1","data":{"activity":"singing"}}"#)
    let asked = loop.port.takeRequests { if case .ask(let query as MembershipsQuery) = $0 { query } else { nil } }
    loop.mail(.service(id: try #require(asked.first).id, .success(.answered(Memberships(chats: ["c1"])))))
    loop.removed("c1", ["ann"])
    #expect(loop.port.applied.map(\.requests) == [1])
    #expect(updates(loop) == [["c1"]])
  }

  private func updates(_ loop: TestLoop) -> [[String]] {
    loop.port.takeRequests { if case .presence(let update as SetPresence) = $0 { update.chats } else { nil } }
      .map(\.request)
  }

  /// Asked for while the session was subscribed to the chat, answered when it was not any more.
  @Test func saysNothingOfAChatThatWasTakenAwayWhileTheLogWasAsked() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    try loop.joinAsMember(ann, "c1", at: head)
    for isRemoved in [false, true] {
      loop.say(ann, #"{"id":2,"call":"updatePresenceV1","data":{"activity":"singing"}}"#)
      if isRemoved { loop.removed("c1", ["ann"]) }
      _ = loop.answerMemberships(["ann": ["c7"]])
      #expect(updates(loop) == [isRemoved ? ["c7"] : ["c1", "c7"]])
    }
  }
}
