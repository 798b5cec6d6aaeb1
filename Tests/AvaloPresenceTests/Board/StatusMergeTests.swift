import AvaloCore
import Testing

@testable import AvaloPresence

/// What comes out of a user's devices.
@Suite struct StatusMergeTests {
  private func device(
    _ explicit: PresenceStatus? = nil, order: UInt64 = 0, connected: Int64 = 0, _ platform: Platform = .unknown
  ) -> ConnectionRow {
    var row = ConnectionRow()
    row.explicit = explicit
    row.order = order
    row.connectedMilliseconds = connected
    row.platform = platform
    return row
  }

  private func merged(
    _ devices: (row: ConnectionRow, isIdle: Bool)..., bare: BareStatus? = nil
  ) -> (PresenceStatus, Platform) {
    // In both orders: they must not matter.
    let results = [devices, devices.reversed()].map { devices in
      var merge = StatusMerge()
      if let bare { merge.add(bare) }
      for device in devices { merge.add(device.row, isIdle: device.isIdle) }
      return (merge.status, merge.platform)
    }
    #expect(results[0] == results[1])
    return results[0]
  }

  @Test func nobodyIsOffline() { #expect(merged() == (.offline, .unknown)) }

  @Test func theBestOfTheDevicesCounts() {
    #expect(merged((device(), false)).0 == .online)
    #expect(merged((device(), true)).0 == .away)
    #expect(merged((device(), true), (device(), false)).0 == .online)
  }

  /// Every status the user may have said, against every device that says nothing.
  @Test(arguments: PresenceStatus.allCases) func whatTheUserSaidWins(status: PresenceStatus) {
    for isIdle in [true, false] {
      #expect(merged((device(status, order: 1), isIdle)).0 == status)
      #expect(merged((device(status, order: 1), true), (device(), isIdle)).0 == status)
    }
    let bare = BareStatus(status: status, platform: .unknown, order: 1, until: 0, isBound: true)
    #expect(merged(bare: bare).0 == status)
    #expect(merged((device(), false), bare: bare).0 == status)
  }

  @Test(arguments: PresenceStatus.allCases, PresenceStatus.allCases)
  func whatTheUserSaidLastWins(earlier: PresenceStatus, later: PresenceStatus) {
    #expect(merged((device(earlier, order: 4), false), (device(later, order: 5), true)).0 == later)
    let bare = BareStatus(status: later, platform: .unknown, order: 9, until: 0, isBound: false)
    #expect(merged((device(earlier, order: 8), false), bare: bare).0 == later)
  }

  @Test func showsTheDeviceWhoseWordItIs() {
    #expect(merged((device(connected: 1, .web), false), (device(connected: 2, .ios), false)).1 == .ios)
    #expect(merged((device(.busy, order: 1, connected: 1, .web), false), (device(connected: 2, .ios), false)).1 == .web)
    #expect(merged((device(.busy, order: 1), false), (device(connected: 2, .ios), false)).1 == .ios)
    #expect(merged((device(.offline, order: 1, connected: 1, .web), false)) == (.offline, .unknown))
  }
}
