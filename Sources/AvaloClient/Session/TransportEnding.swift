import AvaloCore

/// How a transport ended.
public struct TransportEnding: Sendable, Equatable {
  /// A close code of docs/protocol/client.md; 0 where there was none.
  public var code: Int
  /// The canonical status, where the server told one.
  public var status: StatusCode?
  /// When to come back, in milliseconds, if the server said so.
  public var retryAfterMilliseconds: Int?
  /// For a person who looks for the reason.
  public var text: String

  public init(code: Int = 0, status: StatusCode? = nil, retryAfterMilliseconds: Int? = nil, text: String = "") {
    self.code = code
    self.status = status
    self.retryAfterMilliseconds = retryAfterMilliseconds
    self.text = text
  }

  /// An answer that was no transport.
  public init(_ error: ClientError) {
    switch error {
    case .refused(let refusal):
      self.init(
        code: refusal.ending?.code ?? 0, status: refusal.code, retryAfterMilliseconds: refusal.retryAfterMilliseconds,
        text: error.description)
    case .closed(let reason): self.init(code: reason.code, text: reason.text)
    default: self.init(text: error.description)
    }
  }

  /// What follows from it.
  enum Kind: Equatable {
    case retry
    /// The server asked for a pause and named its length.
    case goaway
    /// The token was refused.
    case unauthenticated
    case stop(DisconnectReason)
  }

  /// 4000 to 4499: come back; 4500 to 4999: do not, something must change first.
  var kind: Kind {
    switch effectiveCode {
    // An expired or revoked token is mended by another one.
    case 4004, 4500, 4507: .unauthenticated
    case 4501: .stop(.permissionDenied)
    case 4502: .stop(.badFrame)
    case 4503: .stop(.limit)
    case 4504: .stop(.featureDisabled)
    case 4506: .stop(.superseded)
    case 4500...4999: .stop(.disconnected)
    case 4000 where retryAfterMilliseconds != nil: .goaway
    default: .retry
    }
  }

  /// Whether it says nothing of the way: the server itself ended it.
  var isTheServersWord: Bool { code >= 4000 || status != nil }

  /// What a status over HTTP would be as a close code.
  private var effectiveCode: Int {
    if code != 0 { return code }
    switch status {
    case .unauthenticated: return 4500
    case .permissionDenied: return 4501
    case .invalidArgument: return 4502
    default: return 0
    }
  }
}
