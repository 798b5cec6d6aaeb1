import AvaloCore
import AvaloWire

@testable import AvaloPresence

// The steps that tests of the board are made of. Time is one number: the time of day runs a fixed distance ahead.
let wallAtZero: Int64 = 1_700_000_000_000

func at(_ milliseconds: Int64) -> Moment { Moment(monotonic: milliseconds, wall: wallAtZero + milliseconds) }

final class TestLink {}

extension Board {
  static func empty(_ settings: PresenceSettings = PresenceSettings()) -> Board {
    Board(settings: settings, versions: VersionCounter(after: 0, reserved: 1_000_000))
  }

  /// With the defaults: silence 35 s, lingers of 10 and 20 s, stale after 5 min.
  static func linked(_ sessions: [UInt64] = [], by incarnation: UInt64 = 7, user: String = "ann") -> Board {
    var board = Board.empty()
    board.link(incarnation)
    board.name(sessions, by: incarnation, user: user)
    board.snapshotEnded(incarnation, at: at(0))
    return board
  }

  /// A link that is there for ever: the same incarnation has the same one.
  mutating func link(_ incarnation: UInt64, at time: Int64 = 0) {
    linkOpened(incarnation, ObjectIdentifier(Board.link), at: AvaloPresenceTests.at(time))
  }

  mutating func unlink(_ incarnation: UInt64, at time: Int64) {
    linkClosed(incarnation, ObjectIdentifier(Board.link), at: AvaloPresenceTests.at(time))
  }

  private static let link = TestLink.self

  mutating func name(
    _ sessions: [UInt64], by incarnation: UInt64 = 7, user: String = "ann", device: String? = nil, at time: Int64 = 0
  ) {
    opened(
      sessions.map {
        Sessions.Entry(
          session: $0, user: user, device: device ?? "d\($0)", platform: .ios, connectionID: "c\($0)",
          connectedMilliseconds: wallAtZero + time)
      }, by: incarnation, at: AvaloPresenceTests.at(time))
  }

  mutating func close(_ session: UInt64, clean: Bool, by incarnation: UInt64 = 7, at time: Int64) {
    closed([.init(session: session, clean: clean)], by: incarnation, at: AvaloPresenceTests.at(time))
  }

  mutating func tick(_ time: Int64) { tick(at: AvaloPresenceTests.at(time)) }

  /// What is told of a user, by what was last adopted; `nil` when only the file may know them.
  func status(of user: String = "ann") -> PresenceStatus? { self.user(user).map { users[$0].status } }

  /// Adopts what changed, as the worker does after everything that comes in.
  mutating func isOnline(_ user: String = "ann", at time: Int64 = 0) -> Bool {
    _ = takeChanges(at: AvaloPresenceTests.at(time))
    return status(of: user) ?? .offline == .online
  }

  mutating func hear(_ sessions: UInt64..., active: Bool = false, by incarnation: UInt64 = 7, at time: Int64) {
    seen(
      sessions.map { SessionsSeen.Entry(session: $0, active: active) }, by: incarnation,
      at: AvaloPresenceTests.at(time))
  }

  func lastSeen(_ user: String = "ann") -> Int64? {
    self.user(user).map { users[$0].lastSeenMilliseconds - wallAtZero }
  }

  /// The sessions there are in a state, of all gateways.
  func sessions(_ states: ConnectionRow.State...) -> [UInt64] {
    connections.indices.map { connections[$0] }.filter { states.isEmpty || states.contains($0.state) }.map(\.session)
      .sorted()
  }

  /// Everything unwritten, taken and written.
  mutating func write(at time: Int64 = 0) -> RegistryChanges {
    let changes = takeUnwritten(max: .max, at: AvaloPresenceTests.at(time))
    written(changes)
    return changes
  }
}
