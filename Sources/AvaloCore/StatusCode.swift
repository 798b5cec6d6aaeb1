/// The canonical status codes of the callable protocol, and the HTTP status each travels on.
///
/// Source: Google's `google.rpc.Code` and Firebase's callable protocol. The raw value travels between processes.
public enum StatusCode: UInt8, CaseIterable, Error, Sendable {
  case ok = 0
  case cancelled = 1
  case unknown = 2
  case invalidArgument = 3
  case deadlineExceeded = 4
  case notFound = 5
  case alreadyExists = 6
  case permissionDenied = 7
  case resourceExhausted = 8
  case failedPrecondition = 9
  case aborted = 10
  case outOfRange = 11
  case unimplemented = 12
  case `internal` = 13
  case unavailable = 14
  case dataLoss = 15
  case unauthenticated = 16

  public var wireName: String {
    switch self {
    case .ok: "OK"
    case .cancelled: "CANCELLED"
    case .unknown: "UNKNOWN"
    case .invalidArgument: "INVALID_ARGUMENT"
    case .deadlineExceeded: "DEADLINE_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .alreadyExists: "ALREADY_EXISTS"
    case .permissionDenied: "PERMISSION_DENIED"
    case .resourceExhausted: "RESOURCE_EXHAUSTED"
    case .failedPrecondition: "FAILED_PRECONDITION"
    case .aborted: "ABORTED"
    case .outOfRange: "OUT_OF_RANGE"
    case .unimplemented: "UNIMPLEMENTED"
    case .internal: "INTERNAL"
    case .unavailable: "UNAVAILABLE"
    case .dataLoss: "DATA_LOSS"
    case .unauthenticated: "UNAUTHENTICATED"
    }
  }

  public var httpStatus: Int {
    switch self {
    case .ok: 200
    case .invalidArgument, .failedPrecondition, .outOfRange: 400
    case .unauthenticated: 401
    case .permissionDenied: 403
    case .notFound: 404
    case .alreadyExists, .aborted: 409
    case .resourceExhausted: 429
    case .cancelled: 499
    case .unknown, .internal, .dataLoss: 500
    case .unimplemented: 501
    case .unavailable: 503
    case .deadlineExceeded: 504
    }
  }

  /// Whether it counts as a fault of ours in the system error ratio.
  public var isSystemError: Bool {
    switch self {
    case .internal, .unavailable, .unknown, .dataLoss, .deadlineExceeded: true
    default: false
    }
  }
}

/// A call's refusal: a code the client's SDK understands, and a sentence that says what was wrong and what to do.
public struct CallError: Error, Sendable, Equatable {
  public var code: StatusCode
  public var message: String
  /// Milliseconds after which trying again makes sense; `nil` when it does not.
  public var retryAfterMilliseconds: Int?
  /// The event whose fate the answer leaves open: to be tried again under this id, which may have been made here.
  public var eventID: String?
  /// The limit that was met, if it is one.
  public internal(set) var exceeded: Exceeded?
  /// How what the call was held for has ended, if that is why.
  public var ending: Ending?

  /// What a WebSocket would be closed with.
  public struct Ending: Sendable, Equatable {
    /// Of docs/protocol/client.md, Close codes.
    public let code: Int
    public let reason: String

    public init(code: Int, reason: String) {
      self.code = code
      self.reason = reason
    }
  }

  public init(_ code: StatusCode, _ message: String, retryAfterMilliseconds: Int? = nil, eventID: String? = nil) {
    self.code = code
    self.message = message
    self.retryAfterMilliseconds = retryAfterMilliseconds
    self.eventID = eventID
  }
}
