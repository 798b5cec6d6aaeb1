/// What tells a session from all others, also over restarts of anything.
struct SessionKey: Hashable, Sendable {
  /// Drawn by the gateway when it started.
  var incarnation: UInt64
  var session: UInt64
}

/// A gateway that is linked, or was and left sessions behind.
struct GatewayRow {
  var incarnation: UInt64
  /// Which of its links is the present one; `nil` while there is none. A link that was replaced ends later, and means
  /// nothing then.
  var link: ObjectIdentifier?
  var connections = 0
}
