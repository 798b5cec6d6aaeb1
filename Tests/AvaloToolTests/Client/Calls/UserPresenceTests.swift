import AvaloCore
import Testing

@testable import AvaloClient

@Suite struct UserPresenceTests {
  @Test func writesWhatIsSaidAndWhatIsTakenBack() {
    let update = PresenceUpdate(
      status: .set(.busy), customStatus: .clear, location: .set(UserPresence.Location(place: "Berlin", latitude: 52.5)),
      locationVisibility: .nobody)
    #expect(
      update.data.description
        == #"{"status":"busy","customStatus":null,"location":{"place":"Berlin","latitude":52.5},"visibility":{"location":"nobody"}}"#
    )
  }

  @Test func readsWhatIsTold() throws {
    let text = try JSONText(
      validating: #"""
        {"userId":"ann","status":"busy","lastSeenAt":7,"lastActiveAt":6,"platform":"ios","customStatus":"x","activity":null,
         "location":{"place":"Berlin","latitude":52.5,"longitude":13.4},"isTypingIn":["c"]}
        """#)
    let presence = try #require(text.read(UserPresence.init))
    #expect(presence.status == .busy)
    #expect(presence.platform == .ios)
    #expect(presence.customStatus == "x" && presence.activity == nil)
    #expect(presence.location == UserPresence.Location(place: "Berlin", latitude: 52.5, longitude: 13.4))
    #expect(presence.isTypingIn == ["c"])
    #expect(JSONText.emptyObject.read(UserPresence.init) == nil)
  }
}
