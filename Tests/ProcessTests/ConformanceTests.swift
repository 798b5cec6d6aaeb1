import AvaloTesting
import Testing

/// The gateway's WebSocket codec against the cases of the Autobahn test suite, over real sockets.
@Suite struct ConformanceTests {
  @Test(
    .enabled(if: Needs.fetched("conformance"), "needs Autobahn's cases: scripts/conformance prepare"),
    .timeLimit(.minutes(5)))
  func noCaseOfAutobahnFails() async throws {
    let process = try await TestProcess.start(
      "\(TestPaths.root)/scripts/conformance", ["run", TestPaths.executable("avalo-echo")], directory: TestPaths.root)
    let ending = try await process.ending(within: .seconds(240))
    #expect(ending == .exit(0), "\(process.output.suffix(4_000))")
    // It ran them: about three hundred.
    let lines = process.output.split(separator: "\n")
    #expect(lines.contains { $0.wholeMatch(of: /\d{3} cases: .*/) != nil }, "\(process.output.suffix(1_000))")
  }
}
