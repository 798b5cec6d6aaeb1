import AvaloCore
import AvaloWire

// A call that names a connection must not name another user's.
extension CallContext {
  /// Calls `done` once, now or later, with why the caller may not name this connection. It is a guard against mistakes, not
  /// against malice (docs/decisions/0015): nothing is found by a connection's id without its user's, so while the presence
  /// worker does not answer, every id passes.
  func check(_ connectionID: String?, of user: String, done: @escaping (CallError?) -> Void) {
    guard let connectionID else { return done(nil) }
    services.presence(ConnectionOwnerQuery(user: user, connectionID: connectionID)) { result in
      guard case .success(let owner) = result, owner.isAnother else { return done(nil) }
      done(
        CallError(
          .permissionDenied,
          "the connection \(connectionID) is another user's: subscribe without connectionId, and one is made"))
    }
  }
}
