import AvaloCore
import AvaloMetrics
import AvaloReactor
import AvaloWire
import Testing

@testable import AvaloGateway

/// Where connections stand, and what is noted when one does not get what was sent.
@Suite struct HubTraceTests {
  private func position(_ offset: UInt64) -> Position { Position(epoch: testEpoch, offset: offset) }

  @Test func tellsUpToWhereALiveConnectionWasWritten() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: position(3))
    loop.deliver(4, "a")
    let found = loop.hub.trace(TraceQuery(topic: Topic("user:ann")))
    #expect(found.map(\.state) == [.live] && found.map(\.through) == [4] && found.map(\.user) == ["ann"])
    #expect(loop.hub.trace(TraceQuery(user: "ann")) == found)
    #expect(loop.hub.trace(TraceQuery(topic: Topic("user:bob"))).isEmpty)
    loop.hangUp(ann)
    #expect(loop.hub.trace(TraceQuery(user: "ann")).isEmpty)
  }

  @Test func notesUpToWhereAConnectionWasWrittenThatEnds() async throws {
    let folder = try TemporaryFolder()
    let journal = DeliveryJournal(path: "\(folder.path)/trace.jsonl")
    let loop = try TestLoop(journal: journal)
    let ann = try loop.live("ann", at: position(3))
    loop.deliver(4, "a")
    #expect(await journal.lines(with: ["ann"], limit: 9).isEmpty, "what arrives is not written down")
    loop.hangUp(ann)
    let lines = await journal.lines(with: [#""user":"ann""#], limit: 9).map { String(decoding: $0, as: UTF8.self) }
    #expect(lines.count == 1)
    #expect(lines[0].contains(#""kind":"closed""#) && lines[0].contains(#""topics":{"user:ann":4}"#))
  }

  // MARK: - Denied while it is in

  /// ann is in `chat:c` as a member, written up to 3.
  private func inChat(_ loop: TestLoop) throws -> ConnectionID {
    let ann = try loop.live("ann", at: position(3))
    loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:c"]}}"#)
    let watch = try #require(try loop.port.take(Watch.self).last?.message.entries.last)
    let cursors = try #require(try loop.port.take(Cursors.self).last)
    loop.scheduler {
      $0.frame(Attached(answers: [.granted(position(3), since: 1)]), correlation: cursors.correlation)
      $0.frame(Watched(heads: [Head(handle: watch.handle, position: position(3), floor: 0)]))
    }
    return ann
  }

  private func lines(_ journal: DeliveryJournal) async -> [String] {
    await journal.lines(with: [#""user":"ann""#], limit: 99).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func notesAMembershipThatEndsAndUpToWhereItWasWritten() async throws {
    let folder = try TemporaryFolder()
    let journal = DeliveryJournal(path: "\(folder.path)/trace.jsonl")
    let loop = try TestLoop(journal: journal)
    _ = try inChat(loop)
    loop.mail(.access(AccessChanged(position: 1, changes: [.removed(Topic("chat:c")!, users: ["ann"])])))
    loop.turn()
    let noted = await lines(journal)
    #expect(noted.count == 1)
    #expect(noted.first?.contains(#""kind":"denied""#) == true)
    #expect(
      noted.first?.contains(#""topics":{"chat:c":3},"denied":{"chat:c":"PERMISSION_DENIED"}"#) == true, "\(noted)")
  }

  @Test func notesWhatACallIsDenied() async throws {
    let folder = try TemporaryFolder()
    let journal = DeliveryJournal(path: "\(folder.path)/trace.jsonl")
    let loop = try TestLoop(journal: journal)
    let ann = try loop.live("ann", at: position(3))
    loop.say(ann, #"{"id":1,"call":"subscribeToRealtimeEventsV1","data":{"subscriptions":["chat:c","user:bob"]}}"#)
    let cursors = try #require(try loop.port.take(Cursors.self).last)
    loop.scheduler { $0.frame(Attached(answers: [.denied(.permissionDenied)]), correlation: cursors.correlation) }
    let noted = await lines(journal)
    #expect(noted.contains { $0.contains(#""denied":{"user:bob":"PERMISSION_DENIED"}"#) }, "by the rules")
    #expect(noted.contains { $0.contains(#""denied":{"chat:c":"PERMISSION_DENIED"}"#) }, "by the scheduler: \(noted)")
  }

  /// A client that asks on and on does not push everything else out.
  @Test func notesOnlySoManyDenialsInASecond() async throws {
    let folder = try TemporaryFolder()
    let dropped = MetricsRegistry().counter("avalo_dropped_total", help: "Dropped.")
    let journal = DeliveryJournal(path: "\(folder.path)/trace.jsonl", dropped: dropped)
    let loop = try TestLoop(journal: journal)
    let ann = try loop.live("ann", at: position(3))
    let session = try #require(loop.hub.session(of: ann))
    let denied = [AccessRules.Grant.Denial(topic: "user:bob", code: .permissionDenied)]
    let most = HubLimits.notedDenialsPerSecond
    for _ in 0..<(most + 5) { loop.hub.noteDenials(session, denied) }
    #expect(await lines(journal).count == most)
    #expect(dropped.value == 5)
  }
}
