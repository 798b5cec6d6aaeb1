import AvaloTesting
import Foundation
import Testing

/// The one executable, by all its names.
@Suite struct ProgramTests {
  private func run(_ executable: String, _ arguments: String...) async throws -> (
    ending: TestProcess.Ending, output: String
  ) {
    let process = try await TestProcess.start(executable, arguments)
    return (try await process.ending(within: .seconds(30)), process.output)
  }

  @Test func isWhatItIsCalled() async throws {
    let avalo = TestPaths.executable("avalo")
    let programs = try await run(avalo, "--programs").output.split(separator: "\n").map { $0.split(separator: " ") }
    #expect(programs.contains(["avalod", "sbin"]) && programs.contains(["avalo-gateway", "lib/avalo"]))
    for name in programs.map({ String($0[0]) }) {
      let linked = try await run(TestPaths.executable(name), "--help")
      #expect(linked.ending == .exit(0) && linked.output.lowercased().contains("usage: \(name)"), "\(name)")
      let named = try await run(avalo, name, "--help")
      #expect(named == linked, "\(name)")
    }
    let own = Set(programs.map { String($0[0]) })
    let manifests = "\(TestPaths.root)/config/workers.d"
    for file in try FileManager.default.contentsOfDirectory(atPath: manifests) where file.hasSuffix(".yaml") {
      let text = try String(contentsOfFile: "\(manifests)/\(file)", encoding: .utf8)
      let executable = try #require(text.firstMatch(of: /\nexecutable: (\S+)/))
      #expect(own.contains(String(executable.1)), "\(file)")
    }
  }

  @Test func saysWhatItIsWhenItIsCalledNone() async throws {
    let alone = try await run(TestPaths.executable("avalo"))
    #expect(alone.ending == .exit(64) && alone.output.hasPrefix("usage: avalo PROGRAM"))
    #expect(try await run(TestPaths.executable("avalo"), "--help").ending == .exit(0))
    #expect(try await run(TestPaths.executable("avalo"), "gateway").ending == .exit(64))
  }
}
