import AvaloCore
import AvaloStore
import AvaloStoreSQLite
import AvaloTesting
import Foundation
import Testing

/// `avalo-scheduler --repair`, as an operator runs it.
@Suite(.timeLimit(.minutes(2))) struct RepairTests {
  private let folder = TestFolder()
  private var path: String { "\(folder.path)/events.sqlite" }

  private func repair(settings: String? = nil) async throws -> (TestProcess.Ending, output: String) {
    var environment = TestProcess.plainEnvironment
    environment["AVALO_STATE_DIR"] = folder.path
    if let settings { environment["AVALO_SETTINGS"] = try folder.write(settings, to: "settings.json") }
    let process = try await TestProcess.start(
      TestPaths.executable("avalo-scheduler"), ["--repair"], environment: environment)
    return (try await process.ending(), process.output)
  }

  @Test func movesADamagedLogAsideAndTheNextStartBegins() async throws {
    var worker = try await WorkerProcess.start("avalo-scheduler", sockets: ["metrics", "link"], in: folder)
    let before = try await worker.metric("avalo_log_generation")
    #expect(try await worker.process.stop() == .exit(0))
    try Data(repeating: 7, count: 9000).write(to: URL(fileURLWithPath: path))

    // It does not start, says with which file and what to do, and changes nothing.
    worker = try await WorkerProcess.start(
      "avalo-scheduler", sockets: ["metrics", "link"], in: folder, waitForReady: false)
    #expect(try await worker.process.ending() == .exit(1))
    #expect(worker.process.output.contains("\(path) is damaged"))
    #expect(worker.process.output.contains("avalo-scheduler --repair"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == 9000)

    let (ending, output) = try await repair()
    #expect(ending == .exit(0))
    #expect(output.contains("\(path) was damaged") && output.contains("\(path).damaged-"))
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(!files.contains("events.sqlite"))
    #expect(files.contains { $0.hasPrefix("events.sqlite.damaged-") })

    worker = try await WorkerProcess.start("avalo-scheduler", sockets: ["metrics", "link"], in: folder)
    let after = try await worker.metric("avalo_log_generation")
    #expect(try #require(after) > #require(before))
    #expect(try await worker.process.stop() == .exit(0))
  }

  @Test func leavesASoundLogAsItIs() async throws {
    let worker = try await WorkerProcess.start("avalo-scheduler", sockets: ["metrics", "link"], in: folder)
    // Not under a running owner.
    let owned = try await repair()
    #expect(owned.0 == .exit(1) && owned.output.contains("is owned by another process"))
    #expect(try await worker.process.stop() == .exit(0))
    let sound = try await repair()
    #expect(sound.0 == .exit(1))
    #expect(sound.output == "avalo-scheduler: \(path) is sound: nothing was changed\n")
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test func saysWhenThereIsNothingToRepair() async throws {
    let none = try await repair()
    #expect(none.0 == .exit(0) && none.output.hasPrefix("there is no \(path)"))
    let memory = try await repair(settings: #"{"durability": "memory"}"#)
    #expect(memory.0 == .exit(1) && memory.output.contains("has no file"))
    let wrong = try await repair(settings: #"{"durabilty": "memory"}"#)
    #expect(wrong.0 == .exit(78) && wrong.output.contains("durabilty"))
  }
}
