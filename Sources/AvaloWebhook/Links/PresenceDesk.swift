import AvaloLink
import AvaloWire
import AvaloWorker
import Logging
import NIOCore

/// Asks the presence worker whether a user has a live connection. Not their status, which stays for a while when the last
/// connection has gone, and which users set as they like. Confined to its loop.
final class PresenceDesk: LinkDelegate {
  private struct Question {
    var due: Int64
    var done: (Bool?) -> Void
  }

  private let log: Logger
  private var client: LinkClient?
  private var link: Link?
  private var questions: [UInt32: Question] = [:]
  private var lastQuestion: UInt32 = 0

  init(log: Logger) { self.log = log }

  func start(_ context: WorkerContext) {
    let hello = Hello(role: LinkRole.plugin, instance: context.instance, incarnation: context.incarnation)
    let client = LinkClient(
      path: context.runtimeDirectory + "/presence.sock", name: "presence", on: context.eventLoop, hello: { hello },
      delegate: self, log: log)
    self.client = client
    client.start()
  }

  func stop() { client?.stop() }

  /// Answers once: `nil` when nobody can tell.
  func ask(_ user: String, at now: Int64, done: @escaping (Bool?) -> Void) {
    guard let link else { return done(nil) }
    lastQuestion = max(1, lastQuestion &+ 1)
    questions[lastQuestion] = Question(due: now + WebhookLimits.presenceMilliseconds, done: done)
    link.send(ConnectionsQuery(user: user, after: 0, limit: 1), correlation: lastQuestion)
  }

  func tick(at now: Int64) {
    for (number, question) in questions where question.due <= now { answered(number, nil) }
  }

  private func answered(_ number: UInt32, _ answer: Bool?) { questions.removeValue(forKey: number)?.done(answer) }

  // MARK: - LinkDelegate

  func linkOpened(_ link: Link, welcome: Welcome?) { self.link = link }

  func linkClosed(_ link: Link, reason: String) {
    guard self.link === link else { return }
    self.link = nil
    for number in Array(questions.keys) { answered(number, nil) }
  }

  func linkDrained(_ link: Link) {}

  func link(_ link: Link, received frames: ByteBuffer) {
    link.walk(frames) { head, body in
      switch head.kind {
      case .connectionList: self.answered(head.correlation, !(try ConnectionList(body: body).entries.isEmpty))
      case .failed:
        _ = try Failed(body: body)
        self.answered(head.correlation, nil)
      default: throw WireError.unexpectedKind(head.kind.rawValue)
      }
    }
  }
}
