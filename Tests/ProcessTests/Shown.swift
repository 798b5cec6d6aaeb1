import AvaloClient
import Synchronization

/// What an application has shown to its user, over all its runs, beside what was published for them.
final class Shown: Sendable {
  private struct State {
    var ids: [String] = []
    var goaways = 0
    var recoveries = 0
    var complaints: [String] = []
    var published: [String] = []
    var isOver = false
  }
  private let state = Mutex(State())

  var ids: [String] { state.withLock { $0.ids } }
  var count: Int { state.withLock { $0.ids.count } }
  var goaways: Int { state.withLock { $0.goaways } }
  var recoveries: Int { state.withLock { $0.recoveries } }
  var complaints: [String] { state.withLock { $0.complaints } }

  var allPublished: [String] { state.withLock { $0.published } }
  var isOver: Bool { state.withLock { $0.isOver } }

  func published(_ id: String) { state.withLock { $0.published.append(id) } }
  /// Nothing more is published.
  func end() { state.withLock { $0.isOver = true } }

  /// Until the client is shut down.
  func read(_ client: RealtimeClient) async {
    for await update in client.updates {
      state.withLock { state in
        switch update {
        case .event(let event): state.ids.append(event.eventID)
        case .lost(let ending, _): if ending.code == 4000 { state.goaways += 1 }
        case .recovered: state.recoveries += 1
        case .gap, .hole, .denied, .unsubscribed: state.complaints.append("\(update)")
        case .state, .ready, .live, .complaint: break
        }
      }
    }
  }
}
