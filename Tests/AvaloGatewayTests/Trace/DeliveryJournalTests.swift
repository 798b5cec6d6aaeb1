import AvaloMetrics
import Testing

@testable import AvaloGateway

@Suite struct DeliveryJournalTests {
  private func texts(_ lines: [[UInt8]]) -> [String] { lines.map { String(decoding: $0, as: UTF8.self) } }

  @Test func tellsTheYoungestLinesThatHoldAText() async throws {
    let folder = try TemporaryFolder()
    let journal = DeliveryJournal(path: "\(folder.path)/trace.jsonl")
    for number in 1...5 as ClosedRange<Int64> {
      journal.note("parked", at: number) { $0.member("user", number == 2 ? "bob" : "ann") }
    }
    let lines = await journal.lines(with: [#""user":"ann""#], limit: 2)
    #expect(
      texts(lines) == [#"{"at":4,"kind":"parked","user":"ann"}"#, #"{"at":5,"kind":"parked","user":"ann"}"#])
    #expect(await journal.lines(with: [#""user":"an""#], limit: 9).isEmpty)
  }

  /// An instance that was replaced left its file behind, and who asks now wants to know.
  @Test func readsWhatOtherInstancesNoted() async throws {
    let folder = try TemporaryFolder()
    func journal(_ name: String) -> DeliveryJournal { DeliveryJournal(path: "\(folder.path)/\(name)") }
    let (one, two) = (journal("trace-gateway.0.jsonl"), journal("trace-gateway.11.jsonl"))
    let edge = journal("trace-edge.0.jsonl")
    for (place, at) in [(one, 1_764_000_000_003), (two, 1_764_000_000_001), (edge, 1_764_000_000_002)] {
      place.note("parked", at: Int64(at)) { $0.member("user", "ann") }
      _ = await place.lines(with: [], limit: 1)  // written
    }
    let found = texts(await one.linesOfAll(with: [#""user":"ann""#], limit: 9))
    #expect(found.map { $0.prefix(20) } == [#"{"at":1764000000001,"#, #"{"at":1764000000003,"#])
    #expect(await one.linesOfAll(with: [#""user":"ann""#], limit: 1).count == 1)
  }

  @Test func isBoundedOnDiskAndOutlivesAProcess() async throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/trace.jsonl"
    let journal = DeliveryJournal(path: path, segmentBytesMax: 100)
    for number in 1...6 as ClosedRange<Int64> {
      journal.note("closed", at: number) { $0.member("user", "ann \(String(repeating: "x", count: 100))") }
      _ = await journal.lines(with: [], limit: 1)  // written
    }
    #expect(folder.names() == ["trace.jsonl.1"])
    journal.note("closed", at: 7) { $0.member("user", "ann ") }
    #expect(await journal.lines(with: ["ann "], limit: 9).count == 2)
    let another = DeliveryJournal(path: path)
    #expect(await another.lines(with: ["ann "], limit: 9).count == 2)
  }

  @Test func aLineThatWasCutOffIsNone() async throws {
    let folder = try TemporaryFolder()
    folder.write("trace.jsonl", "{\"at\":1,\"user\":\"ann\"}\n{\"at\":2,\"user\":\"ann\"\n{\"at\":3,\"user\":\"ann\"}")
    let journal = DeliveryJournal(path: "\(folder.path)/trace.jsonl")
    #expect(texts(await journal.lines(with: [#""user":"ann""#], limit: 9)) == [#"{"at":1,"user":"ann"}"#])
  }

  @Test func countsWhatItCannotKeep() async throws {
    let folder = try TemporaryFolder()
    let dropped = MetricsRegistry().counter("dropped", help: "Lines.")
    let nowhere = DeliveryJournal(path: "\(folder.path)/none/trace.jsonl", dropped: dropped)
    nowhere.note("closed", at: 1) { $0.member("user", "ann") }
    #expect(await nowhere.lines(with: ["ann"], limit: 9).isEmpty)
    #expect(dropped.value == 1)
  }
}
