import AvaloTesting
import Foundation
import Testing

/// Every worker's program is replaced under load. The load tool is the judge: it counts what is lost, refused, cut without a
/// word, and how many come back in a second.
@Suite(.serialized, .timeLimit(.minutes(5))) struct UpgradeTests {
  /// A copy of the workers' program, which may be replaced, and what names it to avalod.
  private func copies(in folder: TestFolder) throws -> [String: String] {
    var variables = TestProcess.plainEnvironment
    try FileManager.default.copyItem(atPath: TestPaths.executable("avalo"), toPath: "\(folder.path)/avalo")
    for worker in ["gateway", "presence", "scheduler"] {
      let name = "\(folder.path)/avalo-\(worker)"
      try FileManager.default.createSymbolicLink(atPath: name, withDestinationPath: "avalo")
      variables["AVALO_WORKERS__\(worker.uppercased())__EXECUTABLE"] = name
    }
    return variables
  }

  private func measure(_ arguments: [String], _ variables: [String: String]) async throws -> String {
    let run = try await TestProcess.start(
      TestPaths.executable("avaloctl"),
      ["sandbox", "--template", "\(TestPaths.root)/config", "--", "avalo-bench", "upgrade", "--json"] + arguments,
      environment: variables)
    let ending = try await run.ending(within: .seconds(240))
    #expect(ending == .exit(0), "\(run.output)")
    return run.output
  }

  private func figure(_ report: String, _ key: String) throws -> Double {
    let found = try #require(report.firstMatch(of: try Regex("\"\(key)\":([0-9.]+)")), "\(report)")
    let number = try #require(found.output[1].substring)
    return try #require(Double(number))
  }

  @Test func nobodyIsRefusedAndNothingIsLost() async throws {
    let folder = TestFolder()
    var variables = try copies(in: folder)
    variables["AVALO_WORKERS__GATEWAY__INSTANCES"] = "2"
    variables["AVALO_WORKERS__GATEWAY__SETTINGS__DRAIN__RECONNECTS_PER_SECOND"] = "100"
    // How fast clients come back is judged where nothing else keeps this machine busy; here with some room.
    let report = try await measure(
      ["--clients", "200", "--rate", "200", "--rest", "1", "--publishers", "8", "--reconnect-rate", "200"], variables)
    #expect(try figure(report, "clients") == 200)
    #expect(try figure(report, "sent_on") == 200)
    #expect(try figure(report, "lost") == 0)
    #expect(try figure(report, "refused") == 0)
  }
}
