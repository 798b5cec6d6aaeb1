import AvaloTesting
import Foundation
import Testing

/// systemd has nothing to say about the unit, and little to fear from it.
@Suite struct SystemdUnitTests {
  let folder = TestFolder()

  /// The unit with our own build in the place of the installed program, which need not be there.
  private func unit() throws -> String {
    let text = try House.read("systemd/avalod.service")
    #expect(text.contains("ExecStart=/usr/sbin/avalod "))
    return try folder.write(
      text.replacing("/usr/sbin/avalod", with: TestPaths.executable("avalod")), to: "avalod.service")
  }

  private func analyze(_ arguments: String...) async throws -> TestProcess {
    let process = try await TestProcess.start(try #require(Needs.path(of: "systemd-analyze")), arguments)
    _ = try await process.ending()
    return process
  }

  @Test(.enabled(if: Needs.tool("systemd-analyze"), "needs systemd-analyze")) func verifiesClean() async throws {
    let verify = try await analyze("verify", "--man=no", "--recursive-errors=no", try unit())
    #expect(verify.record.ending == .exit(0))
    #expect(verify.output == "")
  }

  @Test(.enabled(if: Needs.tool("systemd-analyze"), "needs systemd-analyze")) func isHardened() async throws {
    // In tenths; systemd calls everything below 20 good.
    let security = try await analyze("security", "--offline=true", "--threshold=15", try unit())
    #expect(security.record.ending == .exit(0), "\(security.output)")
  }

  @Test func everyFileOfSystemdIsWhole() throws {
    for file in House.files("systemd", "") where House.exists(file) {
      guard let text = try? House.read(file) else { continue }
      #expect(!text.contains(/<[A-Z_]+>|@[A-Z_]+@|example\.com/), "\(file) has a placeholder")
    }
  }
}
