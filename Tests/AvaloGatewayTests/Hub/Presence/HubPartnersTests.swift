import AvaloCore
import AvaloReactor
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway

/// What watchers are shown who share a chat with the watched user by the log's word alone.
@Suite struct HubPartnersTests {
  private let head = Position(epoch: testEpoch, offset: 0)

  /// Ann sings, which is for those who are in c1 with her; bob watches her.
  private func begin(_ loop: TestLoop) throws -> (bob: ConnectionID, handles: [UInt32]) {
    let bob = try loop.live("bob", at: head)
    let handles = try loop.watch(bob, ["ann"])
    loop.tell(handles, 1, .online, activity: "singing", chats: ["c1"])
    return (bob, handles)
  }

  /// Likewise, and bob was shown it, as a member.
  private func beginAsPartners(_ loop: TestLoop) throws -> (bob: ConnectionID, handles: [UInt32]) {
    let begun = try begin(loop)
    _ = loop.answerMemberships(["bob": ["c1"]])
    #expect(loop.news(begun.bob) == ["ann online singing (snapshot)"])
    return begun
  }

  @Test func showsMembersWhatIsForChatPartners() throws {
    let loop = try TestLoop()
    let (bob, handles) = try begin(loop)
    #expect(loop.news(bob).isEmpty, "it waits for what the log says")
    #expect(loop.answerMemberships(["bob": ["c9", "c1"]]) == ["bob"])
    #expect(loop.news(bob) == ["ann online singing (snapshot)"])
    loop.tell(handles, 2, .busy, activity: "dancing", chats: ["c1"])
    #expect(loop.news(bob) == ["ann busy dancing"])
    loop.tell(handles, 3, .busy, activity: "dancing", chats: ["c2"])
    #expect(loop.news(bob) == ["ann busy"], "she is in that chat no longer")
    #expect(loop.answerMemberships([:]).isEmpty, "it is asked once")
  }

  @Test func asksNothingWhereItMakesNoDifference() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    let partner = try loop.live("bob", at: head, chats: ["c1"])
    let zoe = try loop.live("zoe", at: head)
    let handles = try loop.watch(ann, ["ann"])
    for connection in [partner, zoe] { _ = try loop.watch(connection, ["ann"]) }
    loop.tell(handles, 1, .online)
    #expect(loop.news(zoe) == ["ann online (snapshot)"])
    loop.hangUp(zoe)
    loop.tell(handles, 2, .online, activity: "singing", chats: ["c1"])
    #expect(loop.news(ann).last == "ann online singing" && loop.news(partner).last == "ann online singing")
    #expect(loop.answerMemberships([:]).isEmpty && loop.hub.watcherChats.isEmpty)
  }

  @Test func holdsAChangeUntilItIsKnownWhatItMayShow() throws {
    let loop = try TestLoop()
    let bob = try loop.live("bob", at: head)
    let handles = try loop.watch(bob, ["ann"])
    loop.tell(handles, 1, .online)
    #expect(loop.news(bob) == ["ann online (snapshot)"])
    loop.tell(handles, 2, .online, activity: "singing", chats: ["c1"])
    loop.tell(handles, 3, .busy, activity: "singing", chats: ["c1"])
    #expect(loop.news(bob).isEmpty)
    _ = loop.answerMemberships(["bob": ["c1"]])
    #expect(loop.news(bob) == ["ann busy singing (snapshot)"])
  }

  // MARK: - Ending

  /// What was shown is hidden at once, before anybody is told that the member is gone.
  @Test func hidesBeforeARemovalIsConfirmed() throws {
    let loop = try TestLoop()
    let (bob, handles) = try beginAsPartners(loop)
    loop.removed("c2", ["bob"])
    #expect(loop.news(bob).isEmpty)
    loop.removed("c1", ["bob", "zoe"], position: 2)
    #expect(loop.news(bob) == ["ann online (snapshot)"] && loop.port.applied.map(\.position) == [1, 2])
    loop.tell(handles, 2, .busy, activity: "dancing", chats: ["c1"])
    loop.tell(handles, 3, .busy, activity: "reading", chats: ["c1"])
    #expect(loop.news(bob) == ["ann busy"], "and what changes in it is no news")
  }

  /// An answer that was on its way says what was before the removal, which comes behind it.
  @Test func aRemovalBehindAnAnswerEndsWhatTheAnswerGave() throws {
    let loop = try TestLoop()
    let (bob, _) = try begin(loop)
    let asked = loop.port.takeRequests { if case .ask(let query as MembershipsQuery) = $0 { query } else { nil } }
    loop.mail(.service(id: try #require(asked.first).id, .success(.answered(Memberships(chats: ["c1"])))))
    loop.removed("c1", ["bob"])
    #expect(loop.news(bob).last == "ann online (snapshot)")
  }

  /// The presence worker says it, too, but may be away.
  @Test func hidesOfAMemberWhoIsRemoved() throws {
    let loop = try TestLoop()
    let (bob, handles) = try begin(loop)
    _ = loop.answerMemberships(["bob": ["c1"]])
    loop.removed("c1", ["ann"])
    #expect(loop.news(bob) == ["ann online singing (snapshot)", "ann online (snapshot)"])
    loop.tell(handles, 2, .online, activity: "singing", chats: [])
    #expect(loop.news(bob).isEmpty, "that is known")
    let eve = try loop.live("eve", at: head)
    _ = try loop.watch(eve, ["ann"])
    #expect(loop.news(eve) == ["ann online (snapshot)"])
  }

  /// Let in by the log, subscribed to the chat, and removed: both end.
  @Test func hidesFromWhoWasSubscribedAsAMember() throws {
    let loop = try TestLoop()
    let bob = try loop.live("bob", at: head)
    try loop.joinAsMember(bob, "c1", at: head)
    let handles = try loop.watch(bob, ["ann"])
    loop.tell(handles, 1, .online, activity: "singing", chats: ["c1"])
    #expect(loop.news(bob) == ["ann online singing (snapshot)"])
    loop.removed("c1", ["bob"])
    #expect(loop.answerMemberships([:]) == ["bob"], "there may be another chat")
    #expect(loop.news(bob) == ["ann online (snapshot)"])
  }

  @Test func forgetsWhoIsGone() throws {
    let loop = try TestLoop()
    let (bob, _) = try begin(loop)
    loop.hangUp(bob)
    #expect(loop.hub.watcherChats.isEmpty)
    #expect(loop.answerMemberships(["bob": ["c1"]]) == ["bob"], "the answer has nobody to hear it")
    let (again, _) = try begin(loop)
    _ = loop.answerMemberships([:])
    #expect(loop.news(again) == ["ann online (snapshot)"])
  }

  /// What the presence worker said before it heard of the removal names the chat still.
  @Test func hidesWhatWasOnItsWayWhenTheMemberWasRemoved() throws {
    let loop = try TestLoop()
    let (bob, handles) = try begin(loop)
    _ = loop.answerMemberships(["bob": ["c1", "c2"]])
    _ = loop.news(bob)
    loop.removed("c1", ["ann"])
    #expect(loop.news(bob) == ["ann online (snapshot)"])
    loop.tell(handles, 2, .busy, activity: "singing", chats: ["c1"])
    loop.tell(handles, 3, .busy, activity: "dancing", chats: ["c1"])
    #expect(loop.news(bob) == ["ann busy"])
    loop.tell(handles, 4, .busy, activity: "dancing", chats: ["c1", "c2"])
    #expect(loop.news(bob) == ["ann busy dancing"], "they share another one")
    loop.tell(handles, 5, .online, activity: "dancing", chats: [])
    loop.tell(handles, 6, .online, activity: "reading", chats: ["c1"])
    #expect(loop.news(bob) == ["ann online", "ann online reading"], "she is back in it")
  }

  @Test func holdsARemovalAgainstChangesForAWhile() throws {
    let loop = try TestLoop()
    let (bob, handles) = try begin(loop)
    _ = loop.answerMemberships(["bob": ["c1"]])
    loop.removed("c1", ["ann"])
    for number in 0...HubLimits.endedChatsMax { loop.removed("d\(number)", ["ann"], position: UInt64(number) + 2) }
    _ = loop.news(bob)
    loop.tell(handles, 2, .busy, activity: "singing", chats: ["c1"])
    #expect(loop.news(bob) == ["ann busy singing"], "of so many not the first")
    loop.removed("c1", ["ann"], position: 100)
    _ = loop.news(bob)
    loop.advance(HubLimits.endedChatSeconds)
    loop.tell(handles, 3, .busy, activity: "dancing", chats: ["c1"])
    #expect(loop.news(bob) == ["ann busy dancing"])
  }

  /// Let in again, and what she said then named the chat while it was held against her.
  @Test func showsWhatAMemberSaidWhoCameBackAtOnce() throws {
    let loop = try TestLoop()
    let (bob, handles) = try beginAsPartners(loop)
    loop.removed("c1", ["ann"])
    loop.tell(handles, 2, .online, activity: "dancing", chats: ["c1"])
    #expect(loop.news(bob) == ["ann online (snapshot)"])
    loop.advance(HubLimits.endedChatSeconds - 1)
    #expect(loop.news(bob).isEmpty)
    loop.advance(1)
    #expect(loop.news(bob) == ["ann online dancing (snapshot)"])
    #expect(loop.hub.presence.withholding.isEmpty)
  }

  /// What was said before the removal is not given back with time, nor what the presence worker takes back.
  @Test func givesNothingBackToWhoIsRemoved() throws {
    for isSaidAgain in [false, true] {
      let loop = try TestLoop()
      let (bob, handles) = try begin(loop)
      _ = loop.answerMemberships(["bob": ["c1"]])
      loop.removed("c1", ["ann"])
      #expect(loop.news(bob).last == "ann online (snapshot)")
      if isSaidAgain {
        loop.tell(handles, 2, .online, activity: "dancing", chats: ["c1"])
        loop.tell(handles, 3, .online, activity: "dancing", chats: ["c2"])
      }
      loop.advance(HubLimits.endedChatSeconds + 1)
      #expect(loop.news(bob).isEmpty && loop.hub.presence.withholding.isEmpty)
    }
  }

  /// A new one begins with what its file has, and is told anew: until it has had the time to say what comes of that, nothing is
  /// given back.
  @Test func givesNothingBackThatThePresenceWorkerHasYetToSay() throws {
    for hearsOfIt in [true, false] {
      let loop = try TestLoop()
      let (bob, handles) = try beginAsPartners(loop)
      loop.removed("c1", ["ann"])
      loop.tell(handles, 2, .online, activity: "dancing", chats: ["c1"])
      loop.mail(.presenceDown)
      loop.advance(HubLimits.endedChatSeconds + 1)
      loop.mail(.presenceUp)
      loop.turn()
      loop.tell(handles, 3, .online, activity: "dancing", chats: ["c1"])
      loop.advance(HubLimits.endedChatSeconds - 1)
      #expect(loop.news(bob) == ["ann online (snapshot)"])
      if hearsOfIt { loop.tell(handles, 4, .online, activity: "dancing") }
      loop.advance(1)
      #expect(loop.news(bob) == (hearsOfIt ? [] : ["ann online dancing (snapshot)"]))
    }
  }

  @Test func withholdsNothingWhereNobodyIsLeft() throws {
    let loop = try TestLoop()
    let (bob, handles) = try begin(loop)
    loop.removed("c1", ["ann"])
    loop.tell(handles, 2, .busy, activity: "singing", chats: ["c1"])
    loop.removed("c1", ["ann"], position: 2)
    #expect(!loop.hub.presence.withholding.isEmpty)
    loop.hangUp(bob)
    loop.advance(1)
    #expect(loop.hub.presence.withholding.isEmpty)
  }

  // MARK: - Beginning

  @Test func showsItToWhoBecomesAMemberLater() throws {
    let loop = try TestLoop()
    let (bob, _) = try begin(loop)
    _ = loop.answerMemberships([:])
    #expect(loop.news(bob) == ["ann online (snapshot)"])
    loop.advance(HubLimits.membershipSeconds - 1)
    #expect(loop.answerMemberships([:]).isEmpty)
    loop.advance(2)
    #expect(loop.answerMemberships(["bob": ["c1"]]) == ["bob"])
    #expect(loop.news(bob) == ["ann online singing (snapshot)"])
    loop.advance(3 * HubLimits.membershipSeconds)
    #expect(loop.answerMemberships([:]).isEmpty, "who is shown all there is need not be asked about")
  }

  /// A new link asks about all who watch, but not at once.
  @Test func asksAfterALinkAtThePaceOfTheGateway() throws {
    let loop = try TestLoop()
    let perSecond = HubLimits.membershipLookupsPerSecond / Limits.presenceChatsMax
    let chats = (1...Limits.presenceChatsMax).map { "c\($0)" }
    var members: [String: [String]] = [:]
    var handles: [UInt32] = []
    for number in 0..<perSecond + 6 {
      members["m\(number)"] = chats
      let member = try loop.live("m\(number)", at: head)
      handles += try loop.watch(member, ["ann"])
    }
    loop.tell(handles, 1, .online, activity: "singing", chats: ["c1"])
    #expect(loop.answerMemberships(members).count == perSecond)
    loop.advance(1)
    #expect(loop.answerMemberships(members).count == 6)
    loop.advance(1)
    loop.linkDown()
    loop.linkUp()
    #expect(loop.answerMemberships(members).count == perSecond)
    loop.turn()
    #expect(loop.answerMemberships(members).isEmpty)
    loop.advance(1)
    #expect(loop.answerMemberships(members).count == 6)
  }

  /// The log could not say it: less is shown, and it is asked again.
  @Test func showsLessWhenTheLogDoesNotAnswer() throws {
    let loop = try TestLoop()
    let (bob, _) = try begin(loop)
    for (_, id) in loop.port.takeRequests({ if case .ask(let query as MembershipsQuery) = $0 { query } else { nil } }) {
      loop.mail(.service(id: id, .failure(.schedulerAway)))
    }
    loop.turn()
    #expect(loop.news(bob) == ["ann online (snapshot)"])
    loop.advance(HubLimits.membershipSeconds + 1)
    _ = loop.answerMemberships(["bob": ["c1"]])
    #expect(loop.news(bob) == ["ann online singing (snapshot)"])
  }

  // MARK: - Without the log

  /// Nobody says who was removed meanwhile: what comes is shown without it, until the log has said it anew.
  @Test func showsNothingNewForPartnersWhileTheLogIsAway() throws {
    let loop = try TestLoop()
    let (bob, handles) = try beginAsPartners(loop)
    loop.linkDown()
    #expect(loop.news(bob).isEmpty, "what was shown is not taken back")
    loop.tell(handles, 2, .busy, activity: "dancing", chats: ["c1"])
    #expect(loop.news(bob) == ["ann busy"])
    loop.linkUp()
    loop.tell(handles, 3, .away, activity: "dancing", chats: ["c1"])
    #expect(loop.news(bob).isEmpty)
    #expect(loop.answerMemberships(["bob": ["c1"]]) == ["bob"])
    #expect(loop.news(bob) == ["ann away dancing (snapshot)"])
    // Removed while this gateway did not hear of it.
    loop.linkDown()
    loop.linkUp()
    _ = loop.answerMemberships([:])
    #expect(loop.news(bob) == ["ann away (snapshot)"])
  }

  @Test func doesNotWaitForALogThatGoesAway() throws {
    let loop = try TestLoop()
    let (bob, _) = try begin(loop)
    #expect(loop.news(bob).isEmpty)
    loop.linkDown()
    #expect(loop.news(bob) == ["ann online (snapshot)"])
    loop.linkUp()
    _ = loop.answerMemberships(["bob": ["c1"]])
    #expect(loop.news(bob) == ["ann online singing (snapshot)"])
  }

  /// The process stood still, and its link may be one that was cut: nothing is shown before that is known.
  @Test func waitsWhileItIsNotKnownWhatWasTakenAway() throws {
    let loop = try TestLoop()
    let (bob, handles) = try beginAsPartners(loop)
    let revocations = loop.hub.policy.access.revocations
    revocations.stayCurrent(until: MonotonicInstant(nanoseconds: 0))
    loop.tell(handles, 2, .busy, activity: "dancing", chats: ["c1"])
    loop.advance(1)
    #expect(loop.news(bob).isEmpty)
    revocations.stayCurrent(until: MonotonicInstant(nanoseconds: .max))
    loop.advance(1)
    #expect(loop.news(bob) == ["ann busy dancing (snapshot)"])
  }
}
