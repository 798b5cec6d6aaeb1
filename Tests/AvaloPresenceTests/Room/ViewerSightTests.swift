import AvaloCore
import AvaloWire
import Testing

@testable import AvaloPresence

@Suite struct ViewerSightTests {
  private let state = PresenceState(
    status: .online, activity: "singing", location: CoarseLocation(place: "Rome"), activityVisibility: .chatPartners,
    locationVisibility: .nobody)

  private func seen(_ viewer: String, _ chats: [String], _ state: PresenceState? = nil) -> [String?] {
    let sight = ViewerSight(PresenceQuery(users: ["bob"], viewer: viewer, chats: chats))
    let entry = sight.entry("bob", state ?? self.state, chats: ["c1", "c2"], typingIn: ["c1", "c9"])
    return [entry.state.activity, entry.state.location?.place, entry.typingIn.joined(separator: ",")]
  }

  @Test func showsEachTheirPart() {
    #expect(seen("zoe", ["c7"]) == ["", nil, ""])
    #expect(seen("ann", ["c2"]) == ["singing", nil, ""])
    #expect(seen("ann", ["c1"]) == ["singing", nil, "c1"])
    #expect(seen("bob", []) == ["singing", "Rome", "c1,c9"], "the owner")
    #expect(seen("", []) == ["singing", "Rome", "c1,c9"], "a server")
  }

  @Test func showsWhatIsForEveryone() {
    var open = state
    open.activityVisibility = .everyone
    open.locationVisibility = .everyone
    #expect(seen("zoe", [], open) == ["singing", "Rome", ""])
  }
}
