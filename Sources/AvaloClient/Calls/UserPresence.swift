import AvaloCore

/// How a user is, as far as the caller may see it.
public struct UserPresence: Sendable, Equatable {
  /// What they said, or what their devices say.
  public var status: PresenceStatus
  /// Milliseconds since 1970; 0 is never.
  public var lastSeenMilliseconds: Int64
  /// When the user last did something, rather than a device of theirs being there. Milliseconds since 1970; 0 is never.
  public var lastActiveMilliseconds: Int64
  /// `unknown` for who is offline.
  public var platform: Platform
  /// A line under their name.
  public var customStatus: String?
  /// What they are doing; `nil` also for whom it is hidden from.
  public var activity: String?
  /// Where they are; `nil` also for whom it is hidden from.
  public var location: Location?
  /// Chats the user is typing in, as far as the caller is in them. Only ``RealtimeClient/presence(of:)`` tells it.
  public var isTypingIn: [String]

  /// About where somebody is: a place, or degrees that are rounded to a tenth, or both.
  public struct Location: Sendable, Equatable {
    /// A town and its country, say.
    public var place: String?
    /// Degrees, −90 … 90.
    public var latitude: Double?
    /// Degrees, −180 … 180.
    public var longitude: Double?

    /// Of a place, a spot, or both.
    public init(place: String? = nil, latitude: Double? = nil, longitude: Double? = nil) {
      self.place = place
      self.latitude = latitude
      self.longitude = longitude
    }
  }

  /// Reads the payload of a `presence_update`, or one user of an answer.
  public init?(_ view: JSONView) {
    guard let status = view["status"]?.string.flatMap(PresenceStatus.init(wireName:)) else { return nil }
    self.status = status
    lastSeenMilliseconds = view["lastSeenAt"]?.integer ?? 0
    lastActiveMilliseconds = view["lastActiveAt"]?.integer ?? 0
    platform = view["platform"]?.string.flatMap(Platform.init(wireName:)) ?? .unknown
    customStatus = view["customStatus"]?.string
    activity = view["activity"]?.string
    location = view["location"].flatMap { $0.isNull ? nil : Location($0) }
    isTypingIn = view["isTypingIn"]?.elements.compactMap(\.string) ?? []
  }
}

extension UserPresence.Location {
  fileprivate init(_ view: JSONView) {
    place = view["place"]?.string
    latitude = view["latitude"]?.double
    longitude = view["longitude"]?.double
  }
}

extension RealtimeEvent {
  /// Whose presence it tells, and how they are; `nil` when it is about something else.
  public var presence: (userID: String, UserPresence)? {
    guard type == EventType.presenceUpdate.wireName else { return nil }
    return payload.read { view in
      guard let user = view["userId"]?.string, let presence = UserPresence(view) else { return nil }
      return (user, presence)
    }
  }
}

/// What a user says of themselves. What is not there stays as it is.
public struct PresenceUpdate: Sendable, Equatable {
  /// To say something, or to take back what was said.
  public enum Change<Value: Sendable & Equatable>: Sendable, Equatable {
    /// This, from now on.
    case set(Value)
    /// Nothing, from now on.
    case clear
  }

  /// Holds for as long as the device it is said on.
  public var status: Change<PresenceStatus>?
  /// Of this device.
  public var platform: Platform?
  /// At most 256 bytes.
  public var customStatus: Change<String>?
  /// At most 128 bytes.
  public var activity: Change<String>?
  /// Rounded to a tenth of a degree before anything else happens to it.
  public var location: Change<UserPresence.Location>?
  /// Who sees the activity: chat partners, unless said otherwise.
  public var activityVisibility: Visibility?
  /// Who sees the location: chat partners, unless said otherwise.
  public var locationVisibility: Visibility?

  /// At least one of them.
  public init(
    status: Change<PresenceStatus>? = nil, platform: Platform? = nil, customStatus: Change<String>? = nil,
    activity: Change<String>? = nil, location: Change<UserPresence.Location>? = nil,
    activityVisibility: Visibility? = nil, locationVisibility: Visibility? = nil
  ) {
    self.status = status
    self.platform = platform
    self.customStatus = customStatus
    self.activity = activity
    self.location = location
    self.activityVisibility = activityVisibility
    self.locationVisibility = locationVisibility
  }

  /// The data of the call.
  var data: JSONText {
    JSONText { json in
      json.object { json in
        PresenceUpdate.write("status", status, to: &json) { $0.string($1.wireName) }
        if let name = platform?.wireName { json.member("platform", name) }
        PresenceUpdate.write("customStatus", customStatus, to: &json) { $0.string($1) }
        PresenceUpdate.write("activity", activity, to: &json) { $0.string($1) }
        PresenceUpdate.write("location", location, to: &json) { json, location in
          json.object {
            if let place = location.place { $0.member("place", place) }
            if let latitude = location.latitude { $0.number("latitude", latitude) }
            if let longitude = location.longitude { $0.number("longitude", longitude) }
          }
        }
        guard activityVisibility != nil || locationVisibility != nil else { return }
        json.key("visibility")
        json.object {
          if let activityVisibility { $0.member("activity", activityVisibility.wireName) }
          if let locationVisibility { $0.member("location", locationVisibility.wireName) }
        }
      }
    }
  }

  private static func write<Value>(
    _ key: StaticString, _ change: Change<Value>?, to json: inout JSONWriter,
    _ body: (inout JSONWriter, Value) -> Void
  ) {
    switch change {
    case .set(let value):
      json.key(key)
      body(&json, value)
    case .clear:
      json.key(key)
      json.null()
    case nil: break
    }
  }
}

extension JSONWriter {
  /// Degrees, or nothing when they are no number.
  fileprivate mutating func number(_ name: StaticString, _ value: Double) {
    key(name)
    if value.isFinite { raw(Array("\(value)".utf8)) } else { null() }
  }
}
