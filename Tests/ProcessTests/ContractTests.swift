import AvaloTesting
import Testing

/// docs/protocol/openapi.yaml against a running server, as a program reads it that nobody here wrote.
@Suite struct ContractTests {
  /// The same two thousand requests each time. `make contract` makes other ones, for minutes.
  @Test(
    .enabled(if: Needs.fetched("contract/installed"), "needs schemathesis: scripts/contract prepare"),
    .timeLimit(.minutes(10)))
  func schemathesisFindsNothing() async throws {
    var variables = TestProcess.plainEnvironment
    // One user makes all the calls.
    variables["AVALO_WORKERS__GATEWAY__SETTINGS__LIMITS__CALLS_PER_SECOND"] = "1000000"
    variables["AVALOCTL"] = TestPaths.executable("avaloctl")
    let process = try await TestProcess.start(
      TestPaths.executable("avaloctl"), ["sandbox", "--", "scripts/contract", "sample"], environment: variables,
      directory: TestPaths.root)
    let ending = try await process.ending(within: .seconds(500))
    let lines = process.output.split(separator: "\n")
    #expect(ending == .exit(0), "\(lines.suffix(200).joined(separator: "\n"))")
    // It did make requests, and they were answered.
    #expect(lines.contains { $0.wholeMatch(of: /\s*\d{4,} generated, \d{4,} passed.*/) != nil })
  }
}
