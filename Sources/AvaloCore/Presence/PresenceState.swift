/// What there is to know about a user's presence, or the part of it that somebody may see.
public struct PresenceState: Sendable, Equatable {
  public var status: PresenceStatus
  /// Of the device that decides the status; ``Platform/unknown`` when offline or not said.
  public var platform: Platform
  /// Milliseconds since 1970; 0 for a user never seen.
  public var lastSeenMilliseconds: Int64
  /// When the user last did something, rather than a device of theirs being there. Milliseconds since 1970; 0 for never.
  public var lastActiveMilliseconds: Int64
  /// Empty when there is none.
  public var customStatus: String
  /// What the user is doing; empty when not said.
  public var activity: String
  public var location: CoarseLocation?
  public var activityVisibility: Visibility
  public var locationVisibility: Visibility

  public init(
    status: PresenceStatus = .offline, platform: Platform = .unknown, lastSeenMilliseconds: Int64 = 0,
    lastActiveMilliseconds: Int64 = 0, customStatus: String = "", activity: String = "",
    location: CoarseLocation? = nil, activityVisibility: Visibility = .chatPartners,
    locationVisibility: Visibility = .chatPartners
  ) {
    self.status = status
    self.platform = platform
    self.lastSeenMilliseconds = lastSeenMilliseconds
    self.lastActiveMilliseconds = lastActiveMilliseconds
    self.customStatus = customStatus
    self.activity = activity
    self.location = location
    self.activityVisibility = activityVisibility
    self.locationVisibility = locationVisibility
  }

  /// Who looks.
  public enum Viewer: Sendable, Equatable {
    /// The user themselves, or a server.
    case owner
    case chatPartner
    case stranger
  }

  /// Whether it makes a difference who looks.
  public var dependsOnViewer: Bool {
    !activity.isEmpty && activityVisibility != .everyone || location != nil && locationVisibility != .everyone
  }

  /// Whether chat partners see more than strangers do.
  public var hasPartsForPartners: Bool {
    !activity.isEmpty && activityVisibility == .chatPartners || location != nil && locationVisibility == .chatPartners
  }

  /// What of it the viewer may see.
  public func seen(by viewer: Viewer) -> PresenceState {
    var seen = self
    if !activityVisibility.allows(viewer) { seen.activity = "" }
    if !locationVisibility.allows(viewer) { seen.location = nil }
    return seen
  }
}

extension Visibility {
  func allows(_ viewer: PresenceState.Viewer) -> Bool {
    switch (self, viewer) {
    case (_, .owner), (.everyone, _), (.chatPartners, .chatPartner): true
    case (.chatPartners, .stranger), (.nobody, .chatPartner), (.nobody, .stranger): false
    }
  }
}
