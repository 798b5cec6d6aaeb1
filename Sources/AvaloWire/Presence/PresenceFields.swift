import AvaloCore

// How the parts of a presence travel.
extension WireWriter {
  mutating func presence(_ state: PresenceState) {
    integer(state.status.rawValue)
    integer(state.platform.rawValue)
    integer(state.lastSeenMilliseconds)
    integer(state.lastActiveMilliseconds)
    string(state.customStatus)
    string(state.activity)
    integer(state.activityVisibility.rawValue)
    integer(state.locationVisibility.rawValue)
    boolean(state.location != nil)
    if let location = state.location { self.location(location) }
  }

  mutating func location(_ location: CoarseLocation) {
    string(location.place)
    boolean(location.spot != nil)
    if let spot = location.spot {
      integer(spot.latitude)
      integer(spot.longitude)
    }
  }

  mutating func change<Value>(_ change: SetPresence.Change<Value>, _ one: (inout WireWriter, Value) -> Void) {
    switch change {
    case .keep: integer(UInt8(0))
    case .clear: integer(UInt8(1))
    case .set(let value):
      integer(UInt8(2))
      one(&self, value)
    }
  }

  mutating func subscriptions(_ subscriptions: SessionSubscriptions) {
    integer(subscriptions.count)
    list(subscriptions.topics) { $0.string($1.name) }
  }
}

extension WireReader {
  mutating func presence() throws(WireError) -> PresenceState {
    var state = PresenceState()
    state.status = try status()
    state.platform = try platform()
    state.lastSeenMilliseconds = try integer()
    state.lastActiveMilliseconds = try integer()
    state.customStatus = try text(max: Limits.customStatusBytesMax)
    state.activity = try text(max: Limits.activityBytesMax)
    state.activityVisibility = try visibility()
    state.locationVisibility = try visibility()
    if try boolean() { state.location = try location() }
    return state
  }

  mutating func location() throws(WireError) -> CoarseLocation {
    var location = CoarseLocation(place: try text(max: Limits.placeBytesMax))
    if try boolean() {
      guard let spot = CoarseLocation.Spot(latitudeTenths: try integer(), longitudeTenths: try integer()) else {
        throw .malformed("spot")
      }
      location.spot = spot
    }
    return location
  }

  mutating func status() throws(WireError) -> PresenceStatus {
    guard let status = PresenceStatus(rawValue: try integer()) else { throw .malformed("status") }
    return status
  }

  mutating func visibility() throws(WireError) -> Visibility {
    guard let visibility = Visibility(rawValue: try integer()) else { throw .malformed("visibility") }
    return visibility
  }

  /// 255 is none.
  mutating func optionalVisibility() throws(WireError) -> Visibility? {
    let value: UInt8 = try integer()
    if value == .max { return nil }
    guard let visibility = Visibility(rawValue: value) else { throw .malformed("visibility") }
    return visibility
  }

  mutating func optionalIdentifier() throws(WireError) -> String {
    let id = try string()
    guard id.isEmpty || Topic.isWellFormedID(id.utf8) else { throw .malformed("id") }
    return id
  }

  mutating func text(max: Int) throws(WireError) -> String {
    let text = try string()
    guard text.utf8.count <= max else { throw .malformed("text of \(text.utf8.count) bytes") }
    return text
  }

  mutating func change<Value>(
    _ one: (inout WireReader) throws(WireError) -> Value
  ) throws(WireError) -> SetPresence.Change<Value> {
    switch try integer(UInt8.self) {
    case 0: .keep
    case 1: .clear
    case 2: .set(try one(&self))
    default: throw .malformed("change")
    }
  }

  mutating func subscriptions() throws(WireError) -> SessionSubscriptions {
    SessionSubscriptions(
      count: try integer(),
      topics: try list(max: SessionSubscriptions.topicsMax) { (r: inout WireReader) throws(WireError) in
        try r.topic()
      })
  }
}
