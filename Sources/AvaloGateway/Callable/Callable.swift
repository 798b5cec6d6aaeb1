import AvaloCore

/// What a call is answered with: the text of `result`, or why not.
public typealias CallReply = (Result<[UInt8], CallError>) -> Void

/// One function that clients or servers call, over HTTP or over a WebSocket. It runs on the caller's loop, keeps
/// nothing, and waits for nothing but ``Services``.
public protocol Callable: SendableMetatype {
  /// What stands in the URL and in a frame's `call`.
  static var name: StaticString { get }

  /// Either throws, or calls `reply` once, on this loop, now or later. `request` is valid only until it returns.
  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError)
}

/// A call as it arrived. Borrows the bytes it came in.
public struct CallRequest {
  /// What `data` held; `null` when that was null.
  public let data: JSONView
  public let caller: Caller
  public let carrier: Carrier

  public enum Carrier {
    /// The request's `Host`, whether it came over TLS, and the way of its answer.
    case http(host: String?, secure: Bool, writing: AnswerWriting? = nil)
    case session(any CallSession)
  }

  public init(data: JSONView, caller: Caller, carrier: Carrier) {
    self.data = data
    self.caller = caller
    self.carrier = carrier
  }

  /// The user who calls.
  func user() throws(CallError) -> Identity {
    switch caller {
    case .user(let identity): return identity
    case .server: throw CallError(.permissionDenied, "this function is for users: call it with a user's token")
    case .anonymous: throw CallError(.unauthenticated, "a user's token is missing: Authorization: Bearer <token>")
    }
  }

  /// `data`, when it is an object.
  func object(_ fields: String) throws(CallError) -> JSONView {
    guard data.kind == .object else { throw CallError(.invalidArgument, "data must be an object with \(fields)") }
    return data
  }
}

/// The WebSocket session behind a call that came over it.
public protocol CallSession: AnyObject {
  var connectionID: String { get }
  /// Unique among all of this gateway's sessions.
  var number: UInt64 { get }
  var device: String { get }
  /// What it was let into.
  var topics: [Topic] { get }
  func isSubscribed(to topic: Topic) -> Bool
  /// Adds the granted topics; told when they are in place, and which were refused because the user is no member.
  func subscribe(
    _ grant: AccessRules.Grant, positions: [Topic: Position],
    completion: @escaping (Result<[AccessRules.Grant.Denial], CallError>) -> Void)
  /// Topics it is not subscribed to are passed over.
  func unsubscribe(_ topics: [Topic])
  /// The call costs as much as so many more frames of this second's allowance.
  func charge(_ frames: UInt16)
}
