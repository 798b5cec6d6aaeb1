import AvaloReactor
import AvaloTesting
import Testing

@testable import AvaloGateway

@Suite struct HubUsersTests {
  @Test func countsTheConnectionsOfEachUser() throws {
    let loop = try TestLoop()
    loop.linkUp()
    let first = try loop.connect("ann")
    let second = try loop.connect("ann")
    let third = try loop.connect("ann")
    _ = try loop.connect("bob")
    #expect(loop.hub.connectionCount(of: "ann") == 3 && loop.hub.connectionCount(of: "bob") == 1)
    loop.hangUp(second)
    #expect(slots(of: "ann", loop) == [first.slot, third.slot])
    loop.hangUp(first)
    #expect(slots(of: "ann", loop) == [third.slot])
    loop.hangUp(third)
    #expect(slots(of: "ann", loop) == [] && loop.hub.connectionCount(of: "ann") == 0)
    #expect(loop.hub.connectionCount(of: "bob") == 1)
  }

  @Test func agreesWithAModelWhateverComesAndGoes() throws {
    let loop = try TestLoop()
    loop.linkUp()
    var random = TestRandom(seed: 0x05E5)
    var open: [(user: String, connection: ConnectionID)] = []
    for _ in 0..<600 {
      if open.count > 3, Bool.random(using: &random) {
        loop.hangUp(open.remove(at: Int.random(in: 0..<open.count, using: &random)).connection)
      } else {
        let user = "user\(Int.random(in: 0..<4, using: &random))"
        open.append((user, try loop.connect(user)))
      }
      for user in (0..<4).map({ "user\($0)" }) {
        let expected = Set(open.filter { $0.user == user }.map(\.connection.slot))
        #expect(slots(of: user, loop) == expected && loop.hub.connectionCount(of: user) == expected.count)
      }
    }
  }

  @Test func boundsTheConnectionsOfAUser() throws {
    let loop = try TestLoop()
    loop.linkUp()
    loop.hub.policy.limits.connectionsPerUserMax = 2
    _ = try loop.connect("ann")
    _ = try loop.connect("ann")
    let third = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: third)!, identity("ann"), ConnectRequest()) }
    #expect(loop.closes[third.slot] == CloseCode.limit.rawValue)
    #expect(loop.hub.connectionCount(of: "ann") == 2)
  }

  private func slots(of user: String, _ loop: TestLoop) -> Set<UInt32> {
    var slots: Set<UInt32> = []
    loop.hub.forEachSession(of: user) { slots.insert($0.connection.slot) }
    return slots
  }
}
