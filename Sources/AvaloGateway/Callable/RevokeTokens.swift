import AvaloCore
import AvaloWire

/// `revokeTokens`: takes tokens back, of one user, by their id, or everybody's issued before a moment. When it is
/// answered, no connection opened with one is left, and none is accepted any more. For servers with the scope
/// `connections`.
enum RevokeTokens: Callable {
  static let name: StaticString = "revokeTokens"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    try request.server(with: .connections)
    let data = try request.object("userId, tokenId or issuedBefore")
    let now = context.wall.milliseconds
    let revocation = try revocation(data, now: now, lifetime: context.access.current.settings.auth.lifetimeMax)
    guard revocation.untilMilliseconds > now else {
      throw CallError(.invalidArgument, "the tokens have expired already: there is nothing to revoke")
    }
    context.services.ask(Revoke(revocation)) { result in
      reply(result.map { _ in answer(revocation) }.mapError { $0.leavingChangeOpen })
    }
  }

  private static func revocation(
    _ data: JSONView, now: Int64, lifetime: Duration
  ) throws(CallError) -> Revocation {
    var user: String?
    var tokenID: String?
    var issuedBefore: Int64?
    var expiresAt: Int64?
    try data.forEachMember { (key, value) throws(CallError) in
      if key.matches("userId") {
        user = try CallValue.identifier(value, "userId")
      } else if key.matches("tokenId") {
        tokenID = try self.tokenID(value)
      } else if key.matches("issuedBefore") {
        issuedBefore = try CallValue.time(value, "issuedBefore")
      } else if key.matches("expiresAt") {
        expiresAt = try CallValue.time(value, "expiresAt")
      } else {
        throw CallValue.unknown(key, among: "userId, tokenId, issuedBefore, expiresAt")
      }
    }
    // By itself it means everybody; what was issued later cannot be meant.
    if let issuedBefore, issuedBefore > now + GatewayLimits.revocationAheadMax.milliseconds {
      throw CallError(.invalidArgument, "issuedBefore must not lie in the future")
    }
    // No token is believed for longer than that after its `iat`; of one that has none only its end is known.
    let last = (tokenID == nil ? issuedBefore ?? now : now) + lifetime.milliseconds
    let end = tokenID == nil ? min(expiresAt ?? last, last) : expiresAt ?? last
    // A token is taken for a while after its end.
    let until = end + GatewayLimits.revocationMargin.milliseconds
    switch (user, tokenID, issuedBefore) {
    case (let user?, nil, _):
      return Revocation(.user(user), issuedBeforeMilliseconds: issuedBefore ?? now, untilMilliseconds: until)
    case (nil, let id?, nil): return .token(id, untilMilliseconds: until)
    case (nil, nil, let issuedBefore?):
      return Revocation(.everybody, issuedBeforeMilliseconds: issuedBefore, untilMilliseconds: until)
    case (nil, nil, nil):
      throw CallError(.invalidArgument, "one of userId, tokenId and issuedBefore is needed: whose tokens?")
    case (_, _?, _):
      throw CallError(.invalidArgument, "tokenId names one token: userId and issuedBefore do not go with it")
    }
  }

  private static func tokenID(_ view: JSONView) throws(CallError) -> String {
    guard let id = view.string, (1...Limits.tokenIDBytesMax).contains(id.utf8.count) else {
      throw CallValue.refusal("tokenId", "a token's jti, a text of 1 to \(Limits.tokenIDBytesMax) bytes", view)
    }
    return id
  }

  private static func answer(_ revocation: Revocation) -> [UInt8] {
    var json = JSONWriter(capacity: 96)
    json.object {
      $0.member("success", true)
      if case .token = revocation.target {} else { $0.member("issuedBefore", revocation.issuedBeforeMilliseconds) }
      $0.member("keptUntil", revocation.untilMilliseconds)
    }
    return json.bytes
  }
}
