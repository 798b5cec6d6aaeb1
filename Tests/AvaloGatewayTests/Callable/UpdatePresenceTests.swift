import AvaloCore
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway

@Suite struct UpdatePresenceTests {
  private let name = "updatePresenceV1"
  private let ann = Caller.user(CallFixture.ann)

  private func asked(_ data: String, carrier: CallRequest.Carrier? = nil) async throws -> SetPresence {
    let fixture = try await CallFixture()
    try fixture.call(name, data, as: ann, carrier: carrier ?? .http(host: nil, secure: false))
    return try #require(fixture.services.presenceRequests.first as? SetPresence)
  }

  @Test func saysWhatTheSeedSays() async throws {
    let fixture = try await CallFixture()
    fixture.services.presenceAnswer = { _ in
      .success(
        PresenceSet(state: PresenceState(status: .online, platform: .web, lastSeenMilliseconds: 7, customStatus: "x")))
    }
    #expect(
      try fixture.call(name, #"{"status":"online","platform":"web","customStatus":"Working on Avalo 2.0"}"#, as: ann)
        == #"{"success":true,"userId":"ann","status":"online","lastSeenAt":7,"platform":"web","customStatus":"x","#
        + #""lastActiveAt":0,"activity":null,"location":null,"#
        + #""visibility":{"activity":"chat_partners","location":"chat_partners"}}"#)
    #expect(
      fixture.services.presenceRequests.first as? SetPresence
        == SetPresence(
          user: "ann", status: .set(.online), platform: .web, customStatus: .set("Working on Avalo 2.0"), chats: ["c1"])
    )
  }

  @Test func keepsWhatIsNotThereAndClearsWhatIsNull() async throws {
    #expect(
      try await asked(#"{"status":null,"customStatus":null,"activity":"","location":null,"platform":null}"#)
        == SetPresence(
          user: "ann", status: .clear, customStatus: .clear, activity: .clear, location: .clear, chats: ["c1"]))
    #expect(try await asked(#"{"status":"BUSY"}"#) == SetPresence(user: "ann", status: .set(.busy), chats: ["c1"]))
  }

  /// Nothing finer than a tenth of a degree leaves the gateway.
  @Test(arguments: [
    (#"{"place":"Berlin"}"#, CoarseLocation(place: "Berlin")),
    (
      #"{"latitude":52.5163,"longitude":13.3777}"#,
      CoarseLocation(spot: CoarseLocation.Spot(latitudeTenths: 525, longitudeTenths: 134))
    ),
    (
      #"{"place":"Null","latitude":-0.04,"longitude":-180}"#,
      CoarseLocation(place: "Null", spot: CoarseLocation.Spot(latitudeTenths: 0, longitudeTenths: -1800))
    ),
  ]) func roundsWhereTheUserIs(text: String, location: CoarseLocation) async throws {
    #expect(try await asked(#"{"location":\#(text)}"#).location == .set(location))
  }

  @Test func setsWhomPartsAreShownTo() async throws {
    let update = try await asked(#"{"visibility":{"activity":"everyone","location":"NOBODY"}}"#)
    #expect(update.activityVisibility == .everyone && update.locationVisibility == .nobody)
    #expect(try await asked(#"{"visibility":{"activity":"chat_partners"}}"#).locationVisibility == nil)
    // What is `undefined` in an application, as Firebase's SDK sends it.
    let partly = try await asked(#"{"visibility":{"activity":"nobody","location":null}}"#)
    #expect((partly.activityVisibility, partly.locationVisibility) == (.nobody, nil))
    #expect(try await asked(#"{"status":"busy","visibility":null}"#).activityVisibility == nil)
  }

  @Test func namesTheDeviceItIsSaidOn() async throws {
    let session = FakeSession()
    session.topics = [Topic("chat:c2")!]
    let update = try await asked(#"{"status":"away"}"#, carrier: .session(session))
    #expect(update.session == session.number && update.chats == ["c1", "c2"])
    #expect(try await asked(#"{"status":"away","connectionId":"conn_1"}"#).connectionID == "conn_1")
  }

  @Test func refusesWhatItCannotSay() async throws {
    let fixture = try await CallFixture()
    let long = String(repeating: "ä", count: 129)
    for (data, message) in [
      (
        "null",
        "data must be an object with at least one of status, platform, customStatus, activity, location, visibility, connectionId"
      ),
      (
        "{}",
        "nothing is to be updated: there are status, platform, customStatus, activity, location, visibility, connectionId"
      ),
      (
        #"{"status":"here"}"#,
        #"status must be one of online, away, busy, offline, or null for none of one's own, not "here""#
      ),
      (#"{"platform":"tv"}"#, #"platform must be one of web, ios, android, not "tv""#),
      (
        #"{"customStatus":"\#(long)"}"#,
        "customStatus must be a text of at most 256 bytes, or null, not a text of 258 bytes"
      ),
      (#"{"activity":7}"#, "activity must be a text of at most 128 bytes, or null, not 7"),
      (
        #"{"visibility":{"activity":"friends"}}"#,
        #"each part of visibility must be one of everyone, chat_partners, nobody, not "friends""#
      ),
      (
        #"{"userId":"bob","status":"busy"}"#,
        #"unknown field "userId"; there are: status, platform, customStatus, activity, location, visibility, connectionId"#
      ),
    ] {
      #expect(fixture.refusal(name, data, as: ann) == message)
    }
    for location in [
      "7", "{}", #"{"latitude":1}"#, #"{"latitude":91,"longitude":0}"#, #"{"latitude":0,"longitude":180.1}"#,
      #"{"place":"\#(long)"}"#, #"{"place":"x","radius":3}"#,
    ] {
      #expect(
        fixture.refusal(name, #"{"location":\#(location)}"#, as: ann)?.hasPrefix("location must be an object with")
          == true)
    }
    #expect(fixture.services.presenceRequests.isEmpty)
  }

  /// Only the owner writes.
  @Test func isForUsersAlone() async throws {
    let fixture = try await CallFixture()
    #expect(fixture.refusal(name, #"{"status":"busy"}"#)?.hasPrefix("PERMISSION_DENIED") == true)
    #expect(fixture.refusal(name, #"{"status":"busy"}"#, as: .anonymous)?.hasPrefix("UNAUTHENTICATED") == true)
    let off = try await CallFixture(#""flags":{"realtime_presence":{"rollout":0}}"#)
    #expect(
      off.refusal(name, #"{"status":"busy"}"#, as: ann)
        == "FAILED_PRECONDITION: realtime_presence is off for this user")
  }

  @Test func namesNoChatThatWasTakenAwayWhileTheLogWasAsked() async throws {
    let fixture = try await CallFixture()
    let session = FakeSession()
    session.topics = [Topic("chat:c2")!, Topic("chat:c3")!]
    fixture.services.answer = { _ in
      session.topics.removeFirst()
      return .success(Memberships(chats: ["c7"]))
    }
    try fixture.call(name, #"{"activity":"chess"}"#, as: ann, carrier: .session(session))
    #expect((fixture.services.presenceRequests.last as? SetPresence)?.chats == ["c1", "c3", "c7"])
    // A gateway that stood still is not waited for: what it reads then may be from before a removal.
    fixture.services.answer = { _ in
      fixture.context.access.current.revocations.stayCurrent(until: MonotonicInstant(nanoseconds: 0))
      return .success(Memberships(chats: ["c7"]))
    }
    try fixture.call(name, #"{"activity":"go"}"#, as: ann)
    #expect((fixture.services.presenceRequests.last as? SetPresence)?.chats == ["c1"])
  }

  /// The same over both carriers: with what may be for partners alone the log is asked, with the rest it is not.
  @Test func theLogSaysWhoseMembersArePartners() async throws {
    let session = FakeSession()
    session.topics = [Topic("chat:c2")!]
    for (carrier, known) in [(nil, ["c1"]), (CallRequest.Carrier.session(session), ["c1", "c2"])] {
      let fixture = try await CallFixture()
      fixture.services.answer = { _ in .success(Memberships(chats: ["c7", "c1"])) }
      for (data, asks) in [
        (#"{"status":"busy","customStatus":"x"}"#, false), (#"{"activity":"chess"}"#, true),
        (#"{"location":null}"#, true), (#"{"visibility":{"activity":"chat_partners"}}"#, true),
      ] {
        let before = fixture.services.asked.count
        if let carrier {
          try fixture.call(name, data, as: ann, carrier: carrier)
        } else {
          try fixture.call(name, data, as: ann)
        }
        let update = try #require(fixture.services.presenceRequests.last as? SetPresence)
        #expect(update.chats == known + (asks ? ["c7"] : []), "\(data)")
        #expect(fixture.services.asked.count == before + (asks ? 1 : 0))
      }
      // Without the log's answer less is shown, never more.
      fixture.services.answer = { _ in .failure(CallError(.unavailable, "the log is away")) }
      try fixture.call(name, #"{"activity":"chess"}"#, as: ann)
      #expect((fixture.services.presenceRequests.last as? SetPresence)?.chats == ["c1"])
    }
  }
}
