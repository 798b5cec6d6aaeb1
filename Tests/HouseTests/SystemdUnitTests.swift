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
    var units = [try unit()]
    for socket in House.files("systemd", ".socket") {
      units.append(try folder.write(House.read(socket), to: (socket as NSString).lastPathComponent))
    }
    #expect(units.count == 3)
    for unit in units {
      let verify = try await analyze("verify", "--man=no", "--recursive-errors=no", unit)
      #expect(verify.record.ending == .exit(0))
      #expect(verify.output == "")
    }
  }

  /// What a socket unit opens finds its taker by name.
  @Test func socketUnitsOpenWhatTheConfigurationNames() throws {
    let gateway = try House.read("config/workers.d/gateway.yaml")
    let client = try House.read("systemd/avalod.socket")
    #expect(client.contains("\nFileDescriptorName=client\n"))
    let port = try #require(client.firstMatch(of: /\nListenStream=(\S+)\n/)).1
    #expect(gateway.contains("client: {listen: \"\(port)\""))
    let admin = try House.read("systemd/avalod-admin.socket")
    #expect(admin.contains("\nFileDescriptorName=admin\n"))
    let adminPort = try #require(admin.firstMatch(of: /\nListenStream=(\S+)\n/)).1
    #expect(try House.read("config/avalo.yaml").contains("listen: \(adminPort)\n"))
  }

  /// systemd may not cut short what avalod was promised for its workers' drains.
  @Test func stoppingMayTakeAsLongAsAllDrains() throws {
    let drains = try House.files("config/workers.d", ".yaml").map { manifest in
      try #require(
        try House.read(manifest).firstMatch(of: /drain: \{order: \d+, deadline: (\d+)s\}/).flatMap { Int($0.1) })
    }
    let unit = try House.read("systemd/avalod.service")
    let stop = try #require(unit.firstMatch(of: /\nTimeoutStopSec=(\d+)\n/).flatMap { Int($0.1) })
    #expect(stop > drains.reduce(0, +))
  }

  @Test(.enabled(if: Needs.tool("systemd-analyze"), "needs systemd-analyze")) func isHardened() async throws {
    // In tenths; systemd calls everything below 20 good.
    let security = try await analyze("security", "--offline=true", "--threshold=15", try unit())
    #expect(security.record.ending == .exit(0), "\(security.output)")
  }

  @Test func everyFileOfSystemdIsWhole() throws {
    for file in House.files("systemd", "") where House.exists(file) {
      guard let text = try? House.read(file) else { continue }
      // The journal fills in the catalogue's fields.
      let fields = file.hasSuffix(".catalog") ? /@AVALO_[A-Z_]+@/ : /(?!)/
      #expect(
        !text.replacing(fields, with: "").contains(/<[A-Z_]+>|@[A-Z_]+@|example\.com/), "\(file) has a placeholder")
    }
  }
}
