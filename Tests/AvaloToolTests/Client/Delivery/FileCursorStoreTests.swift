import AvaloCore
import AvaloTesting
import Testing

@testable import AvaloClient

@Suite struct FileCursorStoreTests {
  let folder = TestFolder()

  @Test func keepsEachUsersPositionsOverARestart() async throws {
    let positions = ["user:ann": Position(epoch: Epoch(rawValue: 7), offset: 3), "chat:c": .none]
    try await FileCursorStore(folder: folder.path).save(positions, user: "ann")
    try await FileCursorStore(folder: folder.path).save([:], user: "../b/ö")
    let again = FileCursorStore(folder: folder.path)
    #expect(try await again.load(user: "ann") == positions)
    #expect(try await again.load(user: "../b/ö") == [:])
    #expect(try await again.load(user: "nobody") == [:])
  }

  @Test func whatCannotBeReadCountsAsNothing() async throws {
    try folder.write("{\"user:ann\":", to: "positions-ann.json")
    try folder.write("{\"user:bob\":{\"epoch\":\"x\",\"offset\":-1}}", to: "positions-bob.json")
    let store = FileCursorStore(folder: folder.path)
    #expect(try await store.load(user: "ann") == [:])
    #expect(try await store.load(user: "bob") == [:])
  }
}
