import AvaloCore
import AvaloReactor
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
}
