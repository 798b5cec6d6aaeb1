import AvaloCore

/// Who a user is, as their token said: what is left of it once it was verified.
public struct Identity: Sendable, Equatable {
  public var user: String
  /// The token's `jti`, by which it can be revoked; empty without one.
  public var tokenID: String
  /// Milliseconds since 1970; 0 when the token does not say, so that any "issued before" covers it.
  public var issuedAtMilliseconds: Int64
  /// Milliseconds since 1970.
  public var expiresAtMilliseconds: Int64
  /// Ids of the chats the user is in; with a colon, whole topics of other kinds.
  public var chats: [String]

  public init(
    user: String, tokenID: String = "", issuedAtMilliseconds: Int64 = 0, expiresAtMilliseconds: Int64,
    chats: [String] = []
  ) {
    self.user = user
    self.tokenID = tokenID
    self.issuedAtMilliseconds = issuedAtMilliseconds
    self.expiresAtMilliseconds = expiresAtMilliseconds
    self.chats = chats
  }

  /// The token, as it can be revoked.
  public var token: TokenName {
    TokenName(user: user, tokenID: tokenID, issuedAtMilliseconds: issuedAtMilliseconds)
  }
}

/// Who calls.
public enum Caller: Sendable, Equatable {
  case user(Identity)
  case server(APIKey)
  /// Nobody said.
  case anonymous
}
