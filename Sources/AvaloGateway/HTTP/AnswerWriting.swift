/// The way of one HTTP answer to its client, for a call that must know whether it got there. Confined to the connection's
/// loop; of its two endings one comes, once.
public final class AnswerWriting {
  /// The client's address, which it is to be counted for; `nil` when its connection is.
  let client: String?
  /// The connection ended before there was an answer.
  var whenAbandoned: (() -> Void)?
  /// The kernel took the whole answer, or the connection ended before.
  var whenWritten: ((Bool) -> Void)?
  private var isEnded = false

  /// Nobody is there to be answered.
  var isOver: Bool { isEnded }

  /// Whether the answer waits for something to happen, which need not be soon.
  var isHeld: Bool { !isEnded && whenAbandoned != nil }

  init(client: String?) { self.client = client }

  func abandoned() { end { whenAbandoned?() } }
  func written(_ isWritten: Bool) { end { whenWritten?(isWritten) } }

  private func end(_ tell: () -> Void) {
    guard !isEnded else { return }
    isEnded = true
    tell()
    whenAbandoned = nil
    whenWritten = nil
  }
}
