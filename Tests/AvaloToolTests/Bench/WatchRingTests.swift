import Testing

@testable import avalo_bench

@Suite struct WatchRingTests {
  @Test(arguments: [(2, 1), (30, 7), (1_000, 50), (101, 100)])
  func eachWatchesAndIsWatchedByAsMany(users: Int, watched: Int) {
    let ring = WatchRing(users: users, watched: watched)
    var watchers = Array(repeating: 0, count: users)
    for watcher in 0..<users {
      let others = ring.watched(by: watcher)
      #expect(Set(others).count == watched && !others.contains(watcher))
      for (place, other) in others.enumerated() {
        watchers[other] += 1
        #expect(ring.place(of: other, for: watcher) == place)
      }
    }
    #expect(watchers.allSatisfy { $0 == watched })
  }

  @Test func whoIsNotWatchedHasNoPlace() {
    let ring = WatchRing(users: 30, watched: 7)
    let others = Set(ring.watched(by: 4))
    for user in 0..<30 where !others.contains(user) { #expect(ring.place(of: user, for: 4) == nil) }
  }
}
