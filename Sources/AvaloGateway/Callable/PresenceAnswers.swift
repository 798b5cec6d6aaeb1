import AvaloCore

// How presence is shown, in answers and in events (docs/protocol/client.md). Members into an open object.
extension JSONWriter {
  /// `"status": …, "lastSeenAt": …, "platform": …, "customStatus": …, "lastActiveAt": …, "activity": …, "location": …`
  mutating func members(_ state: PresenceState) {
    member("status", state.status.wireName)
    member("lastSeenAt", state.lastSeenMilliseconds)
    member("platform", orNull: state.platform.wireName ?? "")
    member("customStatus", orNull: state.customStatus)
    member("lastActiveAt", state.lastActiveMilliseconds)
    member("activity", orNull: state.activity)
    key("location")
    if let location = state.location { write(location) } else { null() }
  }

  /// What only the owner is shown.
  mutating func visibility(_ state: PresenceState) {
    key("visibility")
    object {
      $0.member("activity", state.activityVisibility.wireName)
      $0.member("location", state.locationVisibility.wireName)
    }
  }

  private mutating func member(_ name: StaticString, orNull text: String) {
    key(name)
    if text.isEmpty { null() } else { string(text) }
  }

  /// `{"place": …, "latitude": …, "longitude": …}`, each only when it is known.
  private mutating func write(_ location: CoarseLocation) {
    object {
      if !location.place.isEmpty { $0.member("place", location.place) }
      guard let spot = location.spot else { return }
      $0.key("latitude")
      $0.raw(JSONWriter.tenths(spot.latitude))
      $0.key("longitude")
      $0.raw(JSONWriter.tenths(spot.longitude))
    }
  }

  private static func tenths(_ value: Int16) -> [UInt8] {
    Array("\(value < 0 ? "-" : "")\(value.magnitude / 10).\(value.magnitude % 10)".utf8)
  }
}
