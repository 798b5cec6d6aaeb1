import AvaloCore

// Who is in a chat: asked for typing, and for what members show only to each other.
extension Access {
  /// By the token, or by what the membership webhook has said. Whom the log has as members, the scheduler knows.
  func isParticipant(_ identity: Identity, of chat: String) -> Bool {
    guard let topic = Topic.chat(chat) else { return false }
    if rules.subscribing(identity, to: topic) == .granted { return true }
    guard let membership, rules.isByClaim(topic) else { return false }
    return membership.decision(identity.user, topic) == .allowed
  }
}
