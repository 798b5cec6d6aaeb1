import AvaloClient
import AvaloTesting
import Foundation
import Testing

@testable import avaloctl

/// A backup's file: what is written is read again, and what is not whole is not believed.
@Suite struct ArchiveTests {
  let folder = TestFolder()

  private func write(_ files: KeyValuePairs<String, String>, to name: String = "backup") throws -> String {
    let path = "\(folder.path)/\(name)"
    let archive = try ArchiveWriter(path, BackupManifest(version: "1", createdAt: 1_700_000_000_000))
    for (place, text) in files {
      try folder.write(text, to: "source/\(place)")
      try archive.add("\(folder.path)/source/\(place)", as: BackupManifest.state + place, place: place)
    }
    _ = try archive.finish()
    return path
  }

  private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

  @Test func holdsWhatItWasGiven() throws {
    let large = String(repeating: "0123456789abcdef", count: 200_000)
    let path = try write(["a": "one", "empty": "", "large": large])
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    #expect(Int(status.st_size).isMultiple(of: 512))
    let manifest = try ArchiveReader(path: path).read { name in
      open("\(folder.path)/\(name.dropFirst(BackupManifest.state.count)).out", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    }
    #expect(manifest.files.map(\.name) == ["state/a", "state/empty", "state/large"])
    #expect(manifest.files.map(\.bytes) == [3, 0, Int64(large.utf8.count)])
    #expect(manifest.files[0].sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed")
    #expect(try String(contentsOfFile: "\(folder.path)/large.out", encoding: .utf8) == large)
    #expect(try String(contentsOfFile: "\(folder.path)/a.out", encoding: .utf8) == "one")
  }

  @Test(.enabled(if: Needs.tool("tar"), "needs tar")) func anyTarReadsIt() async throws {
    let path = try write(["a": "one", "b": "two"])
    let tar = try await TestProcess.start(try #require(Needs.path(of: "tar")), ["-tf", path])
    #expect(try await tar.ending() == .exit(0))
    #expect(tar.output == "state/a\nstate/b\nmanifest.json\n")
  }

  @Test func replacesNothingAndLeavesNothingBehind() throws {
    let path = try write(["a": "one"])
    #expect(throws: ToolError.self) { try ArchiveWriter(path, BackupManifest(version: "1", createdAt: 0)) }
    do {
      let other = try ArchiveWriter("\(folder.path)/other", BackupManifest(version: "1", createdAt: 0))
      #expect(throws: ToolError.self) { try other.add("\(folder.path)/nothing", as: "state/x", place: "x") }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["backup", "source"])
  }

  /// A head with another text for its size, and the sum that belongs to it.
  private func size(_ text: String, in head: [UInt8]) -> [UInt8] {
    var head = head
    head.replaceSubrange(124..<135, with: text.utf8)
    let sum = head.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
    let digits = String(sum, radix: 8)
    head.replaceSubrange(148..<154, with: (String(repeating: "0", count: 6 - digits.count) + digits).utf8)
    return head
  }

  @Test func whatIsNotWholeIsNotBelieved() throws {
    let path = try write(["a": "one", "b": String(repeating: "x", count: 1000)])
    let whole = try bytes(path)
    func refused(_ change: (inout [UInt8]) -> Void) throws -> String {
      var bytes = whole
      change(&bytes)
      try Data(bytes).write(to: URL(fileURLWithPath: "\(folder.path)/broken"))
      let error = #expect(throws: ToolError.self) { try ArchiveReader(path: "\(folder.path)/broken").read() }
      return error?.description ?? ""
    }
    #expect(try refused { $0.removeLast($0.count - 700) }.contains("cut short"))
    #expect(try refused { $0[512] ^= 1 }.contains("state/a is not what was written"))
    #expect(try refused { $0[0] ^= 1 }.contains("head"))
    #expect(try refused { $0.removeSubrange(0..<1024) }.contains("is not what was written"))
    #expect(try refused { $0 = [UInt8](repeating: 0, count: 1024) }.contains("manifest.json"))
    #expect(try refused { $0 = [] }.contains("cut short"))
    // The same file again, and a size that is none.
    #expect(try refused { $0 = Array($0.prefix(1024)) + $0 }.contains("twice"))
    #expect(
      try refused { $0.replaceSubrange(0..<512, with: size("-0000000007", in: Array($0.prefix(512)))) }.contains("head")
    )
    #expect(try refused { $0 = Array("not a backup at all".utf8) }.contains("cut short"))
  }

  @Test func sizesBeyondEightGibibytesHaveTheirForm() throws {
    let header = TarHeader(name: "state/events.sqlite", bytes: 1 << 40, modified: 1_700_000_000)
    #expect(TarHeader(header.encoded) == header)
    let small = TarHeader(name: "a", bytes: (1 << 33) - 1, modified: 0)
    #expect(TarHeader(small.encoded) == small)
    #expect(TarHeader.padding(0) == 0 && TarHeader.padding(1) == 511 && TarHeader.padding(512) == 0)
  }

  @Test func aBackupPutsNothingWhereItWasNotTakenFrom() throws {
    let target = try RestoreTarget(state: folder.path)
    func path(_ name: String, _ place: String) throws -> String {
      try target.path(of: .init(name: name, bytes: 0, sha256: "", place: place), config: "/etc/avalo")
    }
    #expect(try path("state/a", "a") == "\(folder.path)/a")
    #expect(try path("config/keys/k", "keys/k") == "/etc/avalo/keys/k")
    #expect(throws: ToolError.self) { try path("state/a", "/srv/a") }
    #expect(throws: ToolError.self) { try path("config/a", "/srv/a") }
    #expect(throws: ToolError.self) { try path("cron.d/a", "a") }
    #expect(throws: ToolError.self) { try path("state/a", "../a") }
    #expect(throws: ToolError.self) { try path("state/a", "") }
    // One at a time.
    #expect(throws: ToolError.self) { try RestoreTarget(state: folder.path) }
  }

  @Test func aWriteAheadLogThatIsLeftAloneIsMovedAside() throws {
    let target = try RestoreTarget(state: folder.path)
    let path = "\(folder.path)/a"
    try folder.write("old", to: "a-wal")
    close(try target.create(path))
    let aside = try #require(try target.put(path))
    #expect(access(path, F_OK) == 0 && access(path + "-wal", F_OK) != 0 && access(aside + "-wal", F_OK) == 0)
  }

  @Test func aDatabaseOutsideTheFolderIsPutBackWhenThatWasAskedForAndNobodyUsesIt() throws {
    let target = try RestoreTarget(state: folder.path)
    let file = BackupManifest.File(name: "state/a", bytes: 0, sha256: "", place: "\(folder.path)/elsewhere/a")
    #expect(try target.path(of: file, config: "/etc/avalo", inPlace: true) == file.place)
    let escape = BackupManifest.File(name: "config/a", bytes: 0, sha256: "", place: "/etc/passwd")
    #expect(throws: ToolError.self) { try target.path(of: escape, config: "/etc/avalo", inPlace: true) }
    try target.claim(database: file.place)
    try folder.write("x", to: "elsewhere/a")
    let user = open("\(file.place).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    #expect(flock(user, LOCK_EX | LOCK_NB) == 0)
    let error = #expect(throws: ToolError.self) { try target.claim(database: file.place) }
    #expect(error?.description.contains("is in use") == true)
    close(user)
    try target.claim(database: file.place)
  }
}
