/// What the gateway's policy says to a WebSocket handshake.
enum UpgradeDecision: Sendable, Equatable {
  /// The subprotocol must be one that the client offered.
  case accept(subprotocol: String?)
  case refuse(status: Int, headers: [(String, String)], body: String)

  static func == (left: UpgradeDecision, right: UpgradeDecision) -> Bool {
    switch (left, right) {
    case (.accept(let left), .accept(let right)): left == right
    case (.refuse(let leftStatus, let leftHeaders, let leftBody), .refuse(let status, let headers, let body)):
      leftStatus == status && leftBody == body && leftHeaders.elementsEqual(headers, by: ==)
    default: false
    }
  }
}

/// How an attempt to open a WebSocket ended, for metrics.
enum UpgradeOutcome: Sendable, Equatable {
  case accepted
  /// By the policy, with this HTTP status.
  case refused(status: Int)
  /// Not a handshake as RFC 6455 wants it.
  case malformed
  /// The address has its fill.
  case addressFull
  /// No room in the process, or no descriptor.
  case overloaded
  /// The peer left before it was answered.
  case abandoned
}
