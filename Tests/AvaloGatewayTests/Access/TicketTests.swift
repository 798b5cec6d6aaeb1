import AvaloCore
import AvaloTesting
import Glibc
import Testing

@testable import AvaloGateway

@Suite struct TicketTests {
  private let tickets = Tickets(key: Array(repeating: 7, count: 32))
  private let ticket = Ticket(
    id: "AAAA",
    identity: Identity(
      user: "u", tokenID: "t", issuedAtMilliseconds: 5, expiresAtMilliseconds: testNow + 3_600_000, chats: ["c", "d"]),
    request: ConnectRequest(
      connectionID: "conn_1", deviceID: "dev", platform: .ios, subscriptions: ["user:u", "chat:c"],
      positions: [Topic("chat:c")!: Position(epoch: Epoch(rawValue: 9), offset: 12)]),
    expiresAtMilliseconds: testNow + 60_000)

  @Test func carriesEverythingThere() throws {
    #expect(try redeem(tickets.sign(ticket)) == ticket)
  }

  @Test func carriesWhatWasNotSaidAsNotSaid() throws {
    var bare = ticket
    bare.request = ConnectRequest(subscriptions: [])
    bare.identity.chats = []
    #expect(try redeem(tickets.sign(bare)) == bare)
  }

  @Test func isGoodUntilItsTimeIsUp() throws {
    let text = tickets.sign(ticket)
    #expect(try redeem(text, now: testNow + 59_999) == ticket)
    #expect(throws: Tickets.Refusal.expired) { try redeem(text, now: testNow + 60_000) }
  }

  @Test func isRefusedWithAnyBitChanged() throws {
    let good = Array(tickets.sign(ticket).utf8)
    for place in good.indices {
      for bit in 0..<8 {
        var changed = good
        changed[place] ^= 1 << UInt8(bit)
        changed.withUnsafeBytes { text in
          _ = #expect(throws: Tickets.Refusal.self) { try tickets.redeem(text, now: testNow) }
        }
      }
    }
    for count in good.indices {
      #expect(throws: Tickets.Refusal.self) { try redeem(String(decoding: good[..<count], as: UTF8.self)) }
    }
    #expect(throws: Tickets.Refusal.malformed) { try redeem(String(repeating: "A", count: 100_000)) }
  }

  @Test func isNoTicketOfAnotherKey() throws {
    let other = Tickets(key: Array(repeating: 8, count: 32))
    #expect(throws: Tickets.Refusal.wrongSignature) { try redeem(other.sign(ticket)) }
  }

  @Test func idsAreLongAndDiffer() {
    var random = TestRandom(seed: 11)
    let ids = (0..<100).map { _ in Tickets.newID(using: &random) }
    #expect(Set(ids).count == 100 && ids.allSatisfy { $0.utf8.count == 22 })
  }

  // MARK: The key's file

  @Test func oneKeyIsMadeAndSharedByAll() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    let keys = try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for _ in 0..<8 {
        group.addTask {
          var random = SystemRandomNumberGenerator()
          return try TicketKey.load(directory: path, using: &random)
        }
      }
      return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
    }
    #expect(keys.count == 1 && keys.first?.count == 32)
    #expect(folder.names() == ["ticket.key"])
    var status = stat()
    #expect(stat("\(path)/ticket.key", &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test func aKeyOthersMayReadOrOfAnotherSizeIsRefused() throws {
    let folder = try TemporaryFolder()
    var random = SystemRandomNumberGenerator()
    folder.write("ticket.key", Array(repeating: 1, count: 32), mode: 0o644)
    #expect(
      throws: KeyMaterial.Refusal("\(folder.path)/ticket.key: others may read it; remove it, a new one is made")
    ) { try TicketKey.load(directory: folder.path, using: &random) }
    folder.write("ticket.key", Array(repeating: 1, count: 31))
    #expect(
      throws: KeyMaterial.Refusal("\(folder.path)/ticket.key: has 31 bytes, not 32; remove it, a new one is made")
    ) { try TicketKey.load(directory: folder.path, using: &random) }
    #expect(throws: KeyMaterial.Refusal.self) { try TicketKey.load(directory: "\(folder.path)/none", using: &random) }
  }

  private func redeem(_ text: String, now: Int64 = testNow) throws -> Ticket {
    try Array(text.utf8).withUnsafeBytes { try tickets.redeem($0, now: now) }
  }
}
