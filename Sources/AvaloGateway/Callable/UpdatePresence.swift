import AvaloCore
import AvaloWire

/// `updatePresenceV1`: the caller says how they are. Over a WebSocket it is said on that device and lives with it; over HTTP
/// on the device of `connectionId`, or else on all the user has, or, when they have none, for five minutes. For users, each
/// for themselves.
enum UpdatePresence: Callable {
  static let name: StaticString = "updatePresenceV1"
  private static let fields = "status, platform, customStatus, activity, location, visibility, connectionId"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let identity = try request.user()
    try context.require(\.presence, for: identity)
    var update = try update(of: identity.user, try request.object("at least one of \(fields)"), context)
    if case .session(let session) = request.carrier { update.session = session.number }
    put({ [carrier = request.carrier] in carrier.chats(of: identity) }, into: update, context) {
      send($0, context, reply)
    }
  }

  /// Says who the user's partners are: all of them with what may be for them alone, which is asked of the log; with the rest,
  /// which is said far more often, those that are known.
  static func put(
    _ known: @escaping () -> [String], into update: SetPresence, _ context: CallContext,
    _ completion: @escaping (SetPresence) -> Void
  ) {
    func complete(_ chats: [String]) {
      var update = update
      update.chats = Array(chats.prefix(Limits.presenceChatsMax))
      completion(update)
    }
    guard update.changesParts else { return complete(known()) }
    context.findChats(of: update.user, known: known, complete)
  }

  /// What `data`, or a server's payload, says.
  /// - `other`: a member of it that is somebody else's to read.
  static func update(
    of user: String, _ data: JSONView, besides other: String? = nil, _ context: CallContext
  ) throws(CallError) -> SetPresence {
    let statusMax = context.access.current.settings.limits.customStatusBytesMax
    var update = SetPresence(user: user)
    var isEmpty = true
    try data.forEachMember { (key, value) throws(CallError) in
      if let other, key.string == other { return }
      isEmpty = false
      try read(key, value, statusMax: statusMax, into: &update)
    }
    guard !isEmpty else { throw CallError(.invalidArgument, "nothing is to be updated: there are \(fields)") }
    return update
  }

  private static func send(_ update: SetPresence, _ context: CallContext, _ reply: @escaping CallReply) {
    context.services.presence(update) { result in
      reply(
        result.map { answer in
          var json = JSONWriter(capacity: 256)
          json.object {
            $0.member("success", true)
            $0.member("userId", update.user)
            $0.members(answer.state)
            $0.visibility(answer.state)
          }
          return json.take()
        })
    }
  }

  private static func read(
    _ key: JSONView, _ value: JSONView, statusMax: Int, into update: inout SetPresence
  ) throws(CallError) {
    if key.matches("status") {
      update.status = try change(value) { (value) throws(CallError) in
        guard let status = value.string.flatMap(PresenceStatus.init(wireName:)) else {
          throw CallValue.refusal("status", "one of online, away, busy, offline, or null for none of one's own", value)
        }
        return status
      }
    } else if key.matches("platform") {
      if value.isNull { return }
      guard let platform = value.string.flatMap(Platform.init(wireName:)) else {
        throw CallValue.refusal("platform", "one of web, ios, android", value)
      }
      update.platform = platform
    } else if key.matches("customStatus") {
      update.customStatus = try text(value, "customStatus", max: statusMax)
    } else if key.matches("activity") {
      update.activity = try text(value, "activity", max: Limits.activityBytesMax)
    } else if key.matches("location") {
      update.location = try change(value, location)
    } else if key.matches("visibility") {
      try visibility(value, into: &update)
    } else if key.matches("connectionId") {
      if !value.isNull { update.connectionID = try CallValue.identifier(value, "connectionId") }
    } else {
      throw CallValue.unknown(key, among: fields)
    }
  }

  /// `null` takes away what was said.
  private static func change<Value>(
    _ view: JSONView, _ read: (JSONView) throws(CallError) -> Value
  ) throws(CallError) -> SetPresence.Change<Value> {
    view.isNull ? .clear : .set(try read(view))
  }

  /// Nothing said is as good as null.
  private static func text(
    _ view: JSONView, _ field: String, max: Int
  ) throws(CallError) -> SetPresence.Change<String> {
    if view.isNull { return .clear }
    let refusal = CallValue.refusal(field, "a text of at most \(max) bytes, or null", view)
    guard let text = view.string else { throw refusal }
    guard text.utf8.count <= max else { throw .over(.textBytes, max: max, refusal.message) }
    return text.isEmpty ? .clear : .set(text)
  }

  private static func location(_ view: JSONView) throws(CallError) -> CoarseLocation {
    let expected =
      "an object with a place of at most \(Limits.placeBytesMax) bytes, a latitude and a longitude in degrees, or both"
    guard view.kind == .object else { throw CallValue.refusal("location", expected, view) }
    var location = CoarseLocation()
    var latitude: Double?
    var longitude: Double?
    try view.forEachMember { (key, value) throws(CallError) in
      if value.isNull { return }
      if key.matches("place"), let place = value.string, place.utf8.count <= Limits.placeBytesMax {
        location.place = place
      } else if key.matches("latitude"), let degrees = value.double {
        latitude = degrees
      } else if key.matches("longitude"), let degrees = value.double {
        longitude = degrees
      } else {
        throw CallValue.refusal("location", expected, view)
      }
    }
    if let latitude, let longitude { location.spot = CoarseLocation.Spot(latitude: latitude, longitude: longitude) }
    guard (latitude == nil) == (longitude == nil), (latitude == nil) == (location.spot == nil),
      location != CoarseLocation()
    else { throw CallValue.refusal("location", expected, view) }
    return location
  }

  /// Firebase's SDK sends `null` for what is `undefined`, and nobody can be without a visibility: nothing was said.
  private static func visibility(_ view: JSONView, into update: inout SetPresence) throws(CallError) {
    if view.isNull { return }
    guard view.kind == .object else {
      throw CallValue.refusal("visibility", "an object with activity and location", view)
    }
    try view.forEachMember { (key, value) throws(CallError) in
      if value.isNull { return }
      guard let visibility = value.string.flatMap(Visibility.init(wireName:)) else {
        throw CallValue.refusal("each part of visibility", "one of everyone, chat_partners, nobody", value)
      }
      if key.matches("activity") {
        update.activityVisibility = visibility
      } else if key.matches("location") {
        update.locationVisibility = visibility
      } else {
        throw CallValue.unknown(key, among: "activity, location")
      }
    }
  }
}
