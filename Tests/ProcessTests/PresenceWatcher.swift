import AvaloClient
import AvaloCore
import Synchronization

/// A user's connection that writes down what it is told of others.
final class PresenceWatcher: Sendable {
  struct Account {
    /// Statuses by user, as they came.
    var statuses: [String: [String]] = [:]
    /// `status activity` by user, as they came.
    var shown: [String: [String]] = [:]
    /// `user true|false` of typing indicators.
    var typing: [String] = []
    /// Texts of messages and `user true|false`, in the order they came.
    var chat: [String] = []
    var hasEnded = false
  }

  let connection: RealtimeConnection
  private let account = Mutex(Account())
  private let reader = Mutex<Task<Void, Never>?>(nil)

  var read: Account { account.withLock { $0 } }
  func statuses(of user: String) -> [String] { read.statuses[user] ?? [] }
  func shown(of user: String) -> [String] { read.shown[user] ?? [] }

  init(_ connection: RealtimeConnection) {
    self.connection = connection
    // Ends with the connection, which `deinit` aborts.
    let task = Task { [weak self] in
      for await frame in connection.frames { self?.take(frame) }
      self?.account.withLock { $0.hasEnded = true }
    }
    reader.withLock { $0 = task }
  }

  deinit { connection.abort() }

  private func take(_ frame: ServerFrame) {
    switch frame {
    case .fact(let fact) where fact.event.type == "presence_update":
      let told = fact.event.payload.read { ($0["userId"]?.string, $0["status"]?.string, $0["activity"]?.string) }
      guard let user = told.0, let status = told.1 else { return }
      account.withLock {
        $0.statuses[user, default: []].append(status)
        $0.shown[user, default: []].append(told.2.map { "\(status) \($0)" } ?? status)
      }
    case .fact(let fact) where fact.event.type == "typing_indicator":
      let isTyping = fact.event.payload.read { $0["isTyping"]?.boolean } ?? false
      let line = "\(fact.event.sourceUserID ?? "?") \(isTyping)"
      account.withLock {
        $0.typing.append(line)
        $0.chat.append(line)
      }
    case .event(let delivery):
      let text = delivery.event.payload.read { $0["text"]?.string } ?? ""
      account.withLock { $0.chat.append(text) }
    default: break
    }
  }

  /// Calls a function with data made of JSON text.
  @discardableResult
  func call(_ name: String, _ data: String) async throws -> JSONText {
    try await connection.call(name, try JSONText(validating: Array(data.utf8)))
  }
}
