import AvaloCore

/// Why something asked of the client could not be done.
public enum ClientError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The server could not be reached, or the connection broke before the answer.
  case unreachable(String)
  /// Nothing came in time; what was asked for may still happen.
  case timedOut(String)
  /// The server answered what the protocol does not know.
  case broken(String)
  /// The server refused, with its code and its sentence.
  case refused(CallError)
  /// The server ended the connection.
  case closed(CloseReason)
  /// There is no connection, and there will be none before something changes.
  case disconnected(DisconnectReason)
  /// Called when it makes no sense: the fault is the application's.
  case misused(String)
  /// Something could not be kept on this machine, or not read.
  case storage(String)

  public var description: String {
    switch self {
    case .unreachable(let why): why
    case .timedOut(let why): why
    case .broken(let why): why
    case .refused(let error): "\(error.code.wireName): \(error.message)"
    case .closed(let reason): "the server closed the connection: \(reason)"
    case .disconnected(let reason): "disconnected: \(reason.rawValue)"
    case .misused(let why), .storage(let why): why
    }
  }

  /// Whether the same may succeed later, nothing else having changed.
  public var isTransient: Bool {
    switch self {
    case .unreachable, .timedOut, .broken: true
    case .closed(let reason): reason.isRetryable
    case .refused(let error):
      switch error.code {
      case .unavailable, .deadlineExceeded, .resourceExhausted, .aborted, .internal, .unknown: true
      default: false
      }
    case .disconnected, .misused, .storage: false
    }
  }

  /// When trying again makes sense, in milliseconds, if the server said so.
  public var retryAfterMilliseconds: Int? {
    if case .refused(let error) = self { error.retryAfterMilliseconds } else { nil }
  }
}

/// How a connection ended.
public struct CloseReason: Sendable, Equatable, CustomStringConvertible {
  /// As in RFC 6455 §7.4 and docs/protocol/client.md; 1006 when the connection broke without a word.
  public var code: Int
  /// In the server's words; empty when there were none.
  public var text: String

  /// As a close frame has it.
  public init(code: Int, text: String = "") {
    self.code = code
    self.text = text
  }

  /// A connection that broke without a close frame (RFC 6455 §7.1.5).
  public static func broken(_ text: String) -> CloseReason { CloseReason(code: 1006, text: text) }

  /// Whether coming back with the same request can succeed.
  public var isRetryable: Bool {
    switch code {
    case 4500...4999, 1002, 1003, 1007, 1008, 1009, 1010: false
    default: true
    }
  }

  public var description: String { text.isEmpty ? "\(code)" : "\(code) \(text)" }
}
