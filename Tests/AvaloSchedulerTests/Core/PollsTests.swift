import AvaloCore
import AvaloStore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// What connections poll that subscribed with a request of its own.
@Suite struct PollsTests {
  private let topics = ["user:ann", "feed:f"]

  @Test(arguments: LogKind.allCases) func keepsWhatAConnectionSubscribedToAndWhereThatBegins(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn((1...3).map { bench.publish(link, "feed:f", id: "\($0)") })
    try bench.turn(link, bench.publish(link, "user:ann", id: "1"))
    #expect(
      try bench.turn(link, bench.starts(link, topics + ["feed:new"], connection: "cn", as: 9))
        == [.starts(9, [.none, bench.position("feed:f", 3), bench.position("feed:new", 0)])])
    #expect(try bench.log.device(user: "ann", device: "cn")?.isPassing == true)
    // What comes before the first poll is its own, also in a topic that nobody had published to.
    try bench.turn(["feed:f", "feed:new", "user:ann"].map { bench.publish(link, $0, id: "later") })
    #expect(try bench.polled(link, "cn") == topics + ["feed:new"])
    #expect(
      try bench.turn(
        link, bench.attach(link, 1, device: "cn", topics: topics + ["feed:new"], isPassing: true, as: 3))
        == [
          .attached(
            3, [bench.position("user:ann", 0), bench.position("feed:f", 3), bench.position("feed:new", 0)])
        ])
    #expect(try bench.polled(link, "other") == [] && bench.polled(link, "cn", user: "bob") == [])
  }

  @Test func outlivesTheProcess() throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.publish(link, "feed:f", id: "1"))
    try bench.turn(link, bench.starts(link, topics, connection: "cn"))
    try bench.turn(link, bench.publish(link, "feed:f", id: "2"))
    try bench.crash()
    let again = try bench.link(incarnation: 2)
    #expect(try bench.polled(again, "cn") == topics)
    #expect(
      try bench.turn(again, bench.attach(again, 1, device: "cn", topics: topics, isPassing: true, as: 3))
        == [.attached(3, [bench.position("user:ann", 0), bench.position("feed:f", 1)])])
  }

  /// Subscribing again, with the token of an hour later, goes on where the polls are.
  @Test(arguments: LogKind.allCases) func subscribingAgainReplacesTheListAndKeepsThePlaces(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.starts(link, topics, connection: "cn"))
    try bench.turn(
      link, bench.attach(link, 1, device: "cn", topics: topics, isPassing: true), bench.watch(link, [(1, "feed:f")]))
    try bench.turn(link, bench.publish(link, "feed:f", id: "1"), bench.publish(link, "feed:f", id: "2"))
    try bench.turn(link, bench.acknowledge(link, 1, 1, "feed:f", 1))
    // While a poll is held, and when none is.
    for isOpen in [true, false] {
      if !isOpen { try bench.turn(link, .detach(link, Detach(sessions: [1]))) }
      #expect(
        try bench.turn(link, bench.starts(link, ["feed:f", "feed:g"], connection: "cn", as: 9)).isEmpty == false)
      #expect(try bench.polled(link, "cn") == ["feed:f", "feed:g"])
    }
    try bench.turn(link, bench.publish(link, "feed:g", id: "1"))
    #expect(
      try bench.turn(link, bench.attach(link, 2, device: "cn", topics: ["feed:f", "feed:g"], isPassing: true, as: 3))
        == [.attached(3, [bench.position("feed:f", 1), bench.position("feed:g", 0)])])
    // Of the inbox alone a poll is without a word; and so is one of who wants nothing that is polled.
    for none in [["user:ann"], []] {
      try bench.turn(link, bench.starts(link, topics, connection: "cn"))
      try bench.turn(link, bench.starts(link, none, connection: "cn"))
      #expect(try bench.polled(link, "cn") == [])
    }
  }

  /// The polls of a client that has been here before go on where it says, or where its device stopped.
  @Test(arguments: LogKind.allCases) func beginsWhereTheClientOrItsDeviceStopped(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(
      link, bench.attach(link, 1, topics: topics), bench.watch(link, [(1, "user:ann"), (2, "feed:f")]))
    try bench.turn(
      topics.flatMap { topic in (1...4).map { bench.publish(link, topic, id: "\($0)") } })
    try bench.turn(link, bench.acknowledge(link, 1, 1, "user:ann", 2), bench.acknowledge(link, 1, 2, "feed:f", 2))
    try bench.turn(link, .detach(link, Detach(sessions: [1])))
    let presented = ["feed:f": bench.position("feed:f", 3), "user:ann": Position(epoch: Epoch(rawValue: 1), offset: 4)]
    #expect(
      try bench.turn(
        link, bench.starts(link, topics, device: "phone", connection: "cn", presented: presented, as: 9))
        == [.starts(9, [bench.position("user:ann", 2), bench.position("feed:f", 2)])])
    #expect(
      try bench.turn(link, bench.attach(link, 2, device: "cn", topics: topics, isPassing: true, as: 3))
        == [.attached(3, [bench.position("user:ann", 2), bench.position("feed:f", 3)])])
  }

  @Test func nothingIsKeptOfTheInboxAlone() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    #expect(
      try bench.turn(link, bench.starts(link, ["user:ann"], connection: "cn", as: 9)) == [.starts(9, [.none])])
    try bench.turn(link, bench.starts(link, topics))
    #expect(try bench.log.devices(of: "ann").isEmpty)
  }

  // MARK: - Unsubscribing

  @Test(arguments: LogKind.allCases) func unsubscribingTakesTopicsOffTheList(_ engine: LogKind) throws {
    let bench = try CoreBench(engine)
    let link = try bench.link()
    try bench.turn(link, bench.starts(link, topics + ["feed:g"], connection: "cn"))
    #expect(
      try bench.turn(link, bench.stopPolling(link, ["feed:f", "feed:never"], connection: "cn", as: 9))
        == [.polled(9, ["user:ann", "feed:g"])])
    #expect(try bench.polled(link, "cn") == ["user:ann", "feed:g"])
    // Again, and of a connection that nobody knows: nothing to do.
    for connection in ["cn", "other"] {
      let left = try bench.polled(link, connection) ?? []
      #expect(
        try bench.turn(link, bench.stopPolling(link, ["feed:f"], connection: connection, as: 9)) == [.polled(9, left)])
    }
    #expect(try bench.log.devices(of: "ann").map(\.device) == ["cn"])
    // Subscribed to again, it goes on where the polls were.
    try bench.turn(link, bench.publish(link, "feed:f", id: "meanwhile"))
    #expect(
      try bench.turn(link, bench.starts(link, topics, connection: "cn", as: 9))
        == [.starts(9, [.none, bench.position("feed:f", 1)])])
    #expect(
      try bench.turn(link, bench.attach(link, 2, device: "cn", topics: topics, isPassing: true, as: 3))
        == [.attached(3, [bench.position("user:ann", 0), bench.position("feed:f", 0)])])
  }

  /// With the inbox or with nothing left, polls are as those of a connection that never said what it wants.
  @Test(arguments: [["feed:f"], ["feed:f", "user:ann"]]) func unsubscribingFromTheRestLeavesTheInbox(
    _ gone: [String]
  ) throws {
    let bench = try CoreBench(.sqlite)
    let link = try bench.link()
    try bench.turn(link, bench.starts(link, topics, connection: "cn"))
    try bench.turn(link, bench.stopPolling(link, gone, connection: "cn"))
    try bench.crash()
    #expect(try bench.polled(bench.link(incarnation: 2), "cn") == [])
  }

  // MARK: - Bounds

  /// One that polls is seen, and so not the one that makes room beside others that came once.
  @Test(arguments: LogKind.allCases) func aConnectionThatPollsKeepsItsPlace(_ engine: LogKind) throws {
    var settings = SchedulerSettings()
    settings.devicesPerUserMax = 3
    let bench = try CoreBench(engine, settings)
    let link = try bench.link()
    try bench.turn(link, bench.attach(link, 1, device: "phone"), .detach(link, Detach(sessions: [1])))
    try bench.turn(link, bench.starts(link, topics, connection: "polls"))
    for page in 0..<9 {
      bench.advance(SchedulerLimits.polledSeenMilliseconds)
      try bench.turn(link, bench.starts(link, topics, connection: "page\(page)"))
      bench.advance(1)
      try bench.turn(
        link, bench.attach(link, 2, device: "polls", topics: topics, platform: .unknown, isPassing: true))
      try bench.turn(link, .detach(link, Detach(sessions: [2])))
    }
    #expect(Set(try bench.log.devices(of: "ann").map(\.device)) == ["phone", "polls", "page7", "page8"])
    #expect(try bench.polled(link, "polls") == topics && bench.polled(link, "page0") == [])
  }

  @Test(arguments: LogKind.allCases) func aDevicesPlacesAreBounded(_ engine: LogKind) throws {
    var settings = SchedulerSettings()
    settings.cursorsPerDeviceMax = 3
    let bench = try CoreBench(engine, settings)
    let link = try bench.link()
    try bench.turn(link, bench.starts(link, ["user:ann", "feed:a", "feed:b"], connection: "cn"))
    bench.advance(1000)
    try bench.turn(link, bench.starts(link, ["user:ann", "feed:b", "feed:c"], connection: "cn"))
    let device = try #require(try bench.log.device(user: "ann", device: "cn"))
    #expect(try bench.log.cursors(of: device.id).count == 3)
    #expect(
      try bench.turn(link, bench.starts(link, ["feed:a", "feed:b", "feed:c", "feed:d"], connection: "cn", as: 9))
        == [.failed(9, .resourceExhausted)])
    let long = (0..<40).map { "feed:" + String(repeating: "x", count: 120) + "\($0)" }
    #expect(
      try bench.turn(link, bench.starts(link, long, connection: "cn2", as: 9)) == [.failed(9, .resourceExhausted)])
    #expect(try bench.polled(link, "cn") == ["user:ann", "feed:b", "feed:c"])
  }

  /// Whoever asks takes no place from a device that has a name, however many there are, nor from the one that it named.
  @Test(arguments: LogKind.allCases) func makesRoomAmongOtherConnectionsAlone(_ engine: LogKind) throws {
    var settings = SchedulerSettings()
    settings.devicesPerUserMax = 1
    let bench = try CoreBench(engine, settings)
    let link = try bench.link()
    func devices() throws -> Set<String> { Set(try bench.log.devices(of: "ann").map(\.device)) }
    try bench.turn(link, bench.attach(link, 1, device: "phone"), .detach(link, Detach(sessions: [1])))
    try bench.turn(link, bench.starts(link, topics, connection: "page"))
    #expect(try devices() == ["phone", "page"])
    #expect(
      try bench.turn(link, bench.starts(link, topics, device: "page", connection: "cn", as: 9))
        == [.failed(9, .resourceExhausted)])
    #expect(try devices() == ["phone", "page"])
    try bench.turn(link, bench.starts(link, topics, device: "phone", connection: "cn"))
    #expect(try devices() == ["phone", "cn"])
    // Nor from one whose poll is held.
    try bench.turn(link, bench.attach(link, 2, device: "cn", topics: topics, isPassing: true))
    #expect(
      try bench.turn(link, bench.starts(link, topics, connection: "new", as: 9)) == [.failed(9, .resourceExhausted)])
    #expect(try devices() == ["phone", "cn"])
    // It is told where the device stands when nothing is to be kept.
    #expect(
      try bench.turn(link, bench.starts(link, ["feed:f"], device: "phone", as: 9))
        == [.starts(9, [bench.position("feed:f", 0)])])
  }

  @Test(arguments: LogKind.allCases) func aConnectionThatSubscribesAgainIsSeen(_ engine: LogKind) throws {
    var settings = SchedulerSettings()
    settings.devicesPerUserMax = 2
    let bench = try CoreBench(engine, settings)
    let link = try bench.link()
    for connection in ["a", "b", "a", "c"] {
      try bench.turn(link, bench.starts(link, topics, connection: connection))
      bench.advance(SchedulerLimits.polledSeenMilliseconds)
    }
    #expect(Set(try bench.log.devices(of: "ann").map(\.device)) == ["a", "c"])
  }

  @Test(arguments: LogKind.allCases) func moreTopicsThanADeviceHasWriteNothing(_ engine: LogKind) throws {
    var settings = SchedulerSettings()
    settings.cursorsPerDeviceMax = 3
    let bench = try CoreBench(engine, settings)
    let link = try bench.link()
    #expect(
      try bench.turn(link, bench.starts(link, (0..<4).map { "feed:\($0)" }, connection: "cn", as: 9))
        == [.failed(9, .resourceExhausted)])
    #expect(try bench.log.devices(of: "ann").isEmpty)
  }

  // MARK: - Refusals

  /// A log that takes nothing keeps nothing new, and says so; what is kept already stands.
  @Test func isRefusedWhileTheLogTakesNothing() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.starts(link, topics, connection: "cn"))
    bench.log.fail(at: [.commit, .reopen])
    try bench.turn(link, bench.publish(link, "user:ann"))
    bench.log.fail(at: [.reopen])
    #expect(
      try bench.turn(link, bench.starts(link, topics, connection: "new", as: 9)) == [.failed(9, .unavailable)])
    #expect(
      try bench.turn(link, bench.starts(link, topics + ["feed:g"], connection: "cn", as: 9))
        == [.failed(9, .unavailable)])
    #expect(
      try bench.turn(link, bench.starts(link, topics, connection: "cn", as: 9))
        == [.starts(9, [.none, bench.position("feed:f", 0)])])
    #expect(try bench.polled(link, "cn") == topics)
  }

  @Test func aFailedCommitKeepsNothing() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    bench.log.fail(at: [.commit])
    #expect(
      try bench.turn(link, bench.starts(link, topics, connection: "cn", as: 9)) == [.failed(9, .unavailable)])
    bench.log.fail(at: [])
    bench.advance(SchedulerLimits.retryMilliseconds)
    #expect(try bench.polled(link, "cn") == [])
    #expect(try bench.log.devices(of: "ann").isEmpty)
  }

  @Test func unsubscribingIsRefusedWhileTheLogTakesNothingAndWithARevokedToken() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.starts(link, topics, connection: "cn", issued: 1))
    bench.log.fail(at: [.commit])
    #expect(
      try bench.turn(link, bench.stopPolling(link, ["feed:f"], connection: "cn", issued: 1, as: 9))
        == [.failed(9, .unavailable)])
    bench.log.fail(at: [])
    bench.advance(SchedulerLimits.retryMilliseconds)
    #expect(try bench.polled(link, "cn") == topics)
    try bench.turn(
      link,
      .access(
        link, correlation: 8,
        .revoke(Revoke(Revocation(.user("ann"), issuedBeforeMilliseconds: 10, untilMilliseconds: .max)))))
    let told = try bench.turn(link, bench.stopPolling(link, ["feed:f"], connection: "cn", issued: 1, as: 9))
    #expect(told.contains(.failed(9, .unauthenticated)))
    #expect(try bench.polled(link, "cn") == topics)
  }

  /// It would bring back a device that was erased a moment ago.
  @Test func isRefusedWithARevokedToken() throws {
    let bench = try CoreBench()
    let link = try bench.link()
    try bench.turn(link, bench.starts(link, topics, connection: "cn", issued: 1))
    try bench.turn(
      link,
      .access(
        link, correlation: 8,
        .erase(Erase(user: "ann", issuedBeforeMilliseconds: bench.now.wall, untilMilliseconds: bench.now.wall + 60_000))
      ))
    let told = try bench.turn(link, bench.starts(link, topics, connection: "cn", issued: 1, as: 9))
    #expect(told.contains(.failed(9, .unauthenticated)))
    #expect(try bench.log.devices(of: "ann").isEmpty)
  }
}
