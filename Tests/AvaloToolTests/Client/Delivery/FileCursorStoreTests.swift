import AvaloCore
import AvaloTesting
import Foundation
import Testing

@testable import AvaloClient

@Suite struct FileCursorStoreTests {
  let folder = TestFolder()

  private func positions(_ offset: UInt64) -> [String: Position] {
    ["user:ann": Position(epoch: Epoch(rawValue: 7), offset: offset), "chat:c": .none]
  }

  @Test func keepsEachUsersPositionsOverARestart() async throws {
    try await FileCursorStore(folder: folder.path).save(positions(3), user: "ann", device: nil)
    try await FileCursorStore(folder: folder.path).save([:], user: "../b/ö", device: nil)
    let again = FileCursorStore(folder: folder.path)
    #expect(try await again.load(user: "ann", device: nil) == positions(3))
    #expect(try await again.load(user: "../b/ö", device: nil) == [:])
    #expect(try await again.load(user: "nobody", device: nil) == [:])
  }

  /// Whoever lets go of a store has let go of its files, with the end of the last call.
  @Test func isFreeForTheNextOneAtOnce() async throws {
    for number in 1...100 {
      try await FileCursorStore(folder: folder.path).save(positions(UInt64(number)), user: "ann", device: nil)
    }
    #expect(try await FileCursorStore(folder: folder.path).load(user: "ann", device: nil) == positions(100))
  }

  @Test func whatOneDeviceHasProcessedSaysNothingOfAnother() async throws {
    let store = FileCursorStore(folder: folder.path)
    // Ids that would be one name if they were put together carelessly, cut off, or written in one case.
    let long = String(repeating: "x", count: 200)
    let pairs: [(user: String, device: String?)] = [
      ("ann", nil), ("ann", "phone"), ("ann", "Phone"), ("ann-phone", nil), ("a", "nn-phone"), ("\u{A}b", nil),
      ("\u{AB}", nil),
      (long, "1"), (long + "y", "1"), ("1", long),
    ]
    for (number, pair) in pairs.enumerated() {
      try await store.save(positions(UInt64(number)), user: pair.user, device: pair.device)
    }
    for (number, pair) in pairs.enumerated() {
      #expect(try await store.load(user: pair.user, device: pair.device) == positions(UInt64(number)), "\(pair)")
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(Set(names.map { $0.lowercased() }).count == 2 * pairs.count, "each has a file, and its lock")
    #expect(names.allSatisfy { $0.utf8.count < 255 })
  }

  @Test func twoProgramsDoNotWriteOverEachOther() async throws {
    let store = FileCursorStore(folder: folder.path)
    try await store.save(positions(1), user: "ann", device: "phone")
    let other = FileCursorStore(folder: folder.path)
    await #expect(throws: ClientError.self) { try await other.load(user: "ann", device: "phone") }
    await #expect(throws: ClientError.self) { try await other.save([:], user: "ann", device: "phone") }
    try await other.save(positions(2), user: "ann", device: "tablet")
    #expect(try await store.load(user: "ann", device: "phone") == positions(1))
  }

  @Test func whatCannotBeReadCountsAsNothing() async throws {
    try folder.write("{\"user:ann\":", to: "positions-ann.json")
    try folder.write("{\"user:bob\":{\"epoch\":\"x\",\"offset\":-1}}", to: "positions-bob-1.json")
    let store = FileCursorStore(folder: folder.path)
    #expect(try await store.load(user: "ann", device: nil) == [:])
    #expect(try await store.load(user: "bob", device: "1") == [:])
  }
}
