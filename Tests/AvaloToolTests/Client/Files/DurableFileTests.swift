import AvaloCore
import AvaloTesting
import Testing

@testable import AvaloClient

@Suite struct DurableFileTests {
  let folder = TestFolder()
  private var path: String { folder.path + "/file" }
  /// Larger than what anybody else writes meanwhile.
  private let much = [UInt8](repeating: UInt8(ascii: "x"), count: 2 << 20) + [UInt8(ascii: "\n")]

  @Test func whatCouldNotBeAppendedWholeIsNotThere() async throws {
    let file = try DurableFile(path: path)
    let length = try file.append(much, at: 0)
    try await withFilesOfAtMost(length + 10) {
      #expect(throws: ClientError.self) { _ = try file.append(Array("whole\nand more than fits\n".utf8), at: length) }
    }
    #expect(try DurableFile.read(path) == much)
    let more = try file.append(Array("later\n".utf8), at: length)
    #expect(try DurableFile.read(path)?.count == more)
  }

  @Test func whatCouldNotBeWrittenAnewLeavesWhatWasThere() async throws {
    try DurableFile.replace(path, with: Array("old".utf8))
    try await withFilesOfAtMost(much.count - 1) {
      #expect(throws: ClientError.self) { try DurableFile.replace(path, with: much) }
    }
    #expect(try DurableFile.read(path) == Array("old".utf8))
    #expect(try DurableFile.read(path + ".fresh") == nil)
  }

  /// What a crash in the middle of it has left.
  @Test func takesOverWhatNobodyFinished() throws {
    try folder.write("left over, and longer", to: "file.fresh")
    try DurableFile.replace(path, with: Array("new".utf8))
    #expect(try DurableFile.read(path) == Array("new".utf8))
    #expect(try DurableFile.read(path + ".fresh") == nil)
  }

  @Test func writersOfOneFileDoNotMixWhatTheyWrite() async throws {
    let path = path
    let contents = (0..<8).map { [UInt8](repeating: UInt8($0), count: 1_000 * ($0 + 1)) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for content in contents {
        group.addTask { for _ in 0..<25 { try DurableFile.replace(path, with: content) } }
      }
      try await group.waitForAll()
    }
    let last = try #require(try DurableFile.read(path))
    #expect(contents.contains(last))
  }
}
