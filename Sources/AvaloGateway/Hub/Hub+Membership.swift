import AvaloCore

// A connection whose topics only the membership webhook can grant waits for its word; the time to connect goes on.
extension Hub {
  /// Asks what is not known; `connect` is called again with the answer. Answers whether it has to wait.
  func waitsForMembership(_ session: Session, _ identity: Identity, _ request: ConnectRequest) -> Bool {
    guard let webhook = policy.access.membership else { return false }
    let open = policy.access.undecided(request.topics(of: identity), for: identity)
    guard !open.isEmpty else { return false }
    guard !session.asksMembership else { return true }
    session.asksMembership = true
    let (number, slot) = (session.number, session.connection.slot)
    calls.services.membership(webhook, identity.user, open) { [weak self] in
      // It may have left, or been sent away, meanwhile.
      guard let self, let session = self.session(number, slot), session.stage == .awaitingConnect else { return }
      session.asksMembership = false
      self.connect(session, identity, request)
    }
    return true
  }
}
