import AvaloCore
import AvaloSystem

/// Who is connected, and how users are: by the functions for servers, told as they answer.
struct People: Sendable {
  let control: ControlSocket

  /// `{"result": {"connections", "nextCursor"}}`.
  func connections(_ request: HTTPRequest) async throws(ControlSocket.Trouble) -> [UInt8] {
    let user = try People.user(request.given("user"))
    var data = JSONWriter()
    data.object {
      if let user { $0.member("userId", user) }
      $0.member("limit", ConsoleLimits.rowsMax)
      if let cursor = request.given("cursor") { $0.member("cursor", cursor) }
    }
    return try await control.call(.listConnections, data)
  }

  /// `{"result": {"presence": {…}}}` of the users that are named, or `{"result": {"users", "nextCursor"}}`.
  func presence(_ request: HTTPRequest) async throws(ControlSocket.Trouble) -> [UInt8] {
    var data = JSONWriter()
    guard let names = request.given("user") else {
      data.object {
        $0.member("limit", ConsoleLimits.rowsMax)
        if let cursor = request.given("cursor") { $0.member("cursor", cursor) }
      }
      return try await control.call(.listOnlineUsers, data)
    }
    var users: [String] = []
    for name in names.split(whereSeparator: { $0 == " " || $0 == "," }) {
      if let user = try People.user(String(name)), !users.contains(user) { users.append(user) }
    }
    guard (1...ConsoleLimits.usersMax).contains(users.count) else {
      throw .nonsense("Name 1 to \(ConsoleLimits.usersMax) users.")
    }
    data.object {
      $0.key("userIds")
      $0.array { for user in users { $0.string(user) } }
    }
    return try await control.call(.getPresenceV1, data)
  }

  /// An id that is one.
  static func user(_ text: String?) throws(ControlSocket.Trouble) -> String? {
    guard let text else { return nil }
    guard Topic.isWellFormedID(text.utf8) else {
      throw .nonsense("\"\(text.prefix(64))\" is no user's id: those are 1 to 128 of A-Z, a-z, 0-9, _ . @ -")
    }
    return text
  }
}
