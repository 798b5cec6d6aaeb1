import AvaloSystem

/// What one user may have the membership webhook asked: nobody uses up what all users share, nor wears out the backend by
/// naming chats that there are not. Bounded. Pure.
struct QuestionBudget: Sendable {
  private var window: MonotonicInstant?
  /// Topics asked about in this window, by user.
  private var asked: [String: Int] = [:]
  /// Questions on their way, by user.
  private var open: [String: Int] = [:]

  /// Whether the user may ask about so many topics now; whoever may says when it was answered.
  mutating func mayAsk(_ user: String, topics: Int, at now: MonotonicInstant) -> Bool {
    if window.map({ now >= $0 }) ?? true || asked.count >= GatewayLimits.webhookDecisionsMax {
      window = now + GatewayLimits.webhookBudgetTime
      asked = [:]
    }
    let before = asked[user] ?? 0
    guard open[user] ?? 0 < GatewayLimits.webhookRequestsPerUserMax,
      before == 0 || before + topics <= GatewayLimits.webhookTopicsPerUserMax
    else { return false }
    asked[user] = before + topics
    open[user, default: 0] += 1
    return true
  }

  mutating func answered(_ user: String) {
    open[user] = open[user].flatMap { $0 > 1 ? $0 - 1 : nil }
  }
}
