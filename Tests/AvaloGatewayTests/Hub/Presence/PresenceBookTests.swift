import AvaloTesting
import Testing

@testable import AvaloGateway
@testable import AvaloReactor

@Suite struct PresenceBookTests {
  private let ann = ConnectionID(slot: 0, generation: 0)
  private let bob = ConnectionID(slot: 1, generation: 0)

  private func watch(_ book: inout PresenceBook, _ connection: ConnectionID, _ users: some Sequence<String>) {
    for user in users { _ = book.join(connection, to: user, loop: 1) }
  }

  @Test func leavesManyUsersInOneGo() {
    var book = PresenceBook()
    let users = (0..<1_000).map { "u\($0)" }
    watch(&book, ann, users)
    watch(&book, bob, ["u0", "u500", "u999"])
    // The first, the last, some between, one of nobody's, and one that is not watched.
    let left = book.leave(ann, from: ["u999", "u0"] + users[100..<900] + ["u100", "nobody"])
    #expect(Set(left.map(\.user)) == Set(users[100..<900]).subtracting(["u500"]), "bob watches three of them still")
    #expect(left.allSatisfy { $0.isLeaving })
    #expect(book.users(of: ann) == Array(users[1..<100] + users[900..<999]) && book.count(of: ann) == 198)
    #expect(book.users(of: bob) == ["u0", "u500", "u999"] && book.count == 201)
    let rest = book.leave(ann, from: users)
    #expect(rest.count == 198 && book.users(of: ann) == [] && book.count(of: ann) == 0 && book.count == 3)
    #expect(book.leave(ann, from: users).isEmpty)
    watch(&book, ann, ["u7"])
    #expect(book.users(of: ann) == ["u7"])
  }

  @Test func agreesWithAModelWhateverComesAndGoes() {
    var random = TestRandom(seed: 0xB00C)
    var book = PresenceBook()
    var model: [ConnectionID: [String]] = [ann: [], bob: []]
    for _ in 0..<1_000 {
      let connection = Bool.random(using: &random) ? ann : bob
      let users = (0..<Int.random(in: 1...6, using: &random)).map { _ in "u\(Int.random(in: 0..<20, using: &random))" }
      if Bool.random(using: &random) {
        for user in users where !model[connection]!.contains(user) {
          watch(&book, connection, [user])
          model[connection]!.append(user)
        }
      } else {
        let watched = Set(model.values.joined())
        let left = Set(book.leave(connection, from: users).map(\.user))
        model[connection]!.removeAll { users.contains($0) }
        #expect(left == watched.subtracting(model.values.joined()))
      }
      for (connection, users) in model {
        #expect(book.users(of: connection) == users && book.count(of: connection) == users.count)
      }
      for case let topic? in (0..<200).map({ book.topic(at: $0) }) where topic.isLeaving { book.forget(topic) }
    }
  }
}
