import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// Every state meets every event.
@Suite struct AccessFollowerTests {
  private let ann = Revocation(.user("ann"), issuedBeforeMilliseconds: 5, untilMilliseconds: 9)
  private let token = Revocation.token("t", untilMilliseconds: 9)

  private func step(_ position: UInt64, _ changes: AccessChanged.Change...) -> AccessChanged {
    AccessChanged(position: position, changes: changes)
  }

  private func following(at position: UInt64 = 3, loops: Int = 2) throws -> AccessFollower {
    var follower = AccessFollower(loops: loops)
    follower.linkOpened()
    _ = try follower.received(AccessLive(position: position))
    return follower
  }

  // MARK: Away

  @Test func nothingComesWithoutALink() {
    var follower = AccessFollower(loops: 1)
    #expect(throws: WireError.self) { try follower.received(step(1, .revoked(ann))) }
    #expect(throws: WireError.self) { try follower.received(AccessLive(position: 1)) }
    #expect(follower.applied(1, by: 0) == nil)
    follower.linkClosed()
    #expect(follower.state == .away && !follower.isFollowing)
  }

  // MARK: Catching up

  @Test func gathersTheStateUntilItIsComplete() throws {
    var follower = AccessFollower(loops: 1)
    follower.linkOpened()
    #expect(!follower.isFollowing)
    #expect(try follower.received(step(7, .revoked(ann))) == .nothing)
    #expect(try follower.received(step(7, .revoked(token))) == .nothing)
    #expect(follower.applied(7, by: 0) == nil)
    #expect(try follower.received(AccessLive(position: 7)) == .begin(RevocationTable([ann, token]), 7))
    #expect(follower.isFollowing)
  }

  @Test func beginsAnewWithEachLink() throws {
    var follower = try following(at: 9)
    follower.linkClosed()
    follower.linkOpened()
    _ = try follower.received(step(4, .revoked(token)))
    follower.linkOpened()
    // The log may have been restored: an earlier position is as good as a later one.
    #expect(try follower.received(AccessLive(position: 2)) == .begin(RevocationTable(), 2))
    #expect(follower.state == .following(2))
  }

  // MARK: Following

  @Test func handsOnEachStep() throws {
    var follower = try following(at: 3)
    let change = step(4, .revoked(ann), .removed(Topic("chat:c")!, users: ["bob"]))
    #expect(try follower.received(change) == .apply(change))
    #expect(follower.state == .following(4))
    // Steps may be left out: what nobody has to know is not told.
    #expect(try follower.received(step(9, .released(.user("ann")))) == .apply(step(9, .released(.user("ann")))))
  }

  @Test func refusesStepsThatDoNotAscendAndASecondState() throws {
    var follower = try following(at: 3)
    #expect(throws: WireError.self) { try follower.received(step(3)) }
    #expect(throws: WireError.self) { try follower.received(AccessLive(position: 3)) }
  }

  @Test func confirmsWhatEveryLoopHasApplied() throws {
    var follower = try following(at: 3, loops: 2)
    _ = try follower.received(step(4))
    _ = try follower.received(step(5))
    #expect(follower.applied(4, by: 0) == nil)
    #expect(follower.applied(5, by: 0) == nil)
    #expect(follower.applied(4, by: 1) == 4)
    #expect(follower.applied(4, by: 1) == nil, "once")
    #expect(follower.applied(5, by: 1) == 5)
  }

  /// A loop's word that was on its way when the link changed says nothing about the new one.
  @Test func ignoresWordsOfAnEarlierLink() throws {
    var follower = try following(at: 9, loops: 1)
    follower.linkClosed()
    follower.linkOpened()
    #expect(follower.applied(10, by: 0) == nil)
    _ = try follower.received(AccessLive(position: 2))
    #expect(follower.applied(9, by: 0) == nil)
    _ = try follower.received(step(3))
    #expect(follower.applied(3, by: 0) == 3)
  }
}
