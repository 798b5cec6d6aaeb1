import AvaloCore
import AvaloWire

/// What one viewer may see of others: decided by whether they share a chat.
struct ViewerSight {
  private let viewer: String
  private let chats: Set<String>

  init(_ query: PresenceQuery) {
    viewer = query.viewer
    chats = Set(query.chats)
  }

  /// - `chats`: the user's, as far as it matters.
  func entry(_ user: String, _ state: PresenceState, chats: [String], typingIn: [String]) -> PresenceAnswer.Entry {
    guard !viewer.isEmpty, viewer != user else { return PresenceAnswer.Entry(state: state, typingIn: typingIn) }
    let isPartner = state.hasPartsForPartners && chats.contains { self.chats.contains($0) }
    return PresenceAnswer.Entry(
      state: state.seen(by: isPartner ? .chatPartner : .stranger), typingIn: typingIn.filter { self.chats.contains($0) }
    )
  }
}

extension StoredUser {
  /// Of a user who is not here.
  var state: PresenceState {
    PresenceState(
      lastSeenMilliseconds: seenMilliseconds, lastActiveMilliseconds: min(activeMilliseconds, seenMilliseconds),
      customStatus: details.customStatus, activity: details.activity, location: details.location,
      activityVisibility: details.activityVisibility, locationVisibility: details.locationVisibility)
  }
}
