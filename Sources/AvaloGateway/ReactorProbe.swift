import AvaloReactor
import AvaloWorker
import Synchronization

extension Liveness {
  /// Whether a hub's loop still takes its mail.
  func add(_ name: String, _ mailbox: Mailbox<HubMail>) {
    let heard = Heard()
    add(name) {
      guard heard.take() else { return false }
      mailbox.post(.probe(heard))
      return true
    }
  }
}

/// Set by the loop that was asked, taken by who asks.
final class Heard: Sendable {
  private let isSet = Atomic(true)
  func set() { isSet.store(true, ordering: .relaxed) }
  func take() -> Bool { isSet.exchange(false, ordering: .relaxed) }
}
