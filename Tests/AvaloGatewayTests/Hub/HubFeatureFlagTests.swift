import AvaloCore
import AvaloWire
import Testing

@testable import AvaloGateway

/// What the feature flags mean to connections.
@Suite struct HubFeatureFlagTests {
  private let head = Position(epoch: testEpoch, offset: 3)

  @Test func whoHasNoEngineIsSentAwayForGood() throws {
    let loop = try TestLoop()
    loop.mail(.policy(.forTests { $0.flags.engine.deny = ["ann"] }))
    loop.linkUp()
    let ann = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: ann)!, identity("ann"), ConnectRequest()) }
    #expect(
      loop.take(ann) == [
        #"{"error":{"status":"FAILED_PRECONDITION","message":"realtime_engine_v2 is off for this user"}}"#
      ])
    #expect(loop.closes[ann.slot] == 4504)
    #expect(try loop.port.take(Attach.self).isEmpty)
    _ = try loop.connect("bob")
  }

  @Test func aReloadDropsNobody() throws {
    let loop = try TestLoop()
    let ann = try loop.live("ann", at: head)
    loop.mail(.policy(.forTests { $0.flags.engine.rollout = 0 }))
    loop.turn()
    loop.deliver(4, "still here")
    #expect(loop.take(ann).events == ["4:still here"])
    #expect(loop.closes[ann.slot] == nil)
    // The next one does not get in.
    let again = loop.open()
    loop.turn { loop.hub.connect(loop.hub.session(of: again)!, identity("ann"), ConnectRequest()) }
    #expect(loop.closes[again.slot] == 4504)
  }

  @Test func whoHasNoPresenceIsNotShownAsHere() throws {
    let loop = try TestLoop()
    loop.mail(.policy(.forTests { $0.flags.presence.deny = ["ann"] }))
    _ = try loop.live("ann", at: head)
    _ = try loop.connect("bob")
    loop.mail(.presenceUp)
    loop.turn()
    let told = try loop.port.takePresence(Sessions.self).flatMap { $0.message.entries }
    #expect(told.map { "\($0.user) \($0.isShown)" } == ["ann false", "bob true", "ann false", "bob true"])
  }
}
