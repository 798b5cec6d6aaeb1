import AvaloClient
import AvaloCore
import Synchronization

/// A user's device that stays: comes back after every loss with the positions it has, and keeps the account of what it
/// was sent. What breaks a promise is written down as it happens.
final class Listener: Sendable {
  struct Account {
    /// Event ids by offset, over all connections.
    var events: [UInt64: String] = [:]
    var position = Position.none
    /// Offsets that the server said will not come.
    var gaps: [ClosedRange<UInt64>] = []
    var connections = 0
    var complaints: [String] = []
    var isLive = false
  }

  let user: String
  let topic: String
  private let account = Mutex(Account())

  init(user: String) {
    self.user = user
    topic = "user:" + user
  }

  var read: Account { account.withLock { $0 } }

  /// Listens until the task is cancelled.
  func run(_ server: RunningServer) async {
    while !Task.isCancelled {
      do {
        let position = account.withLock { $0.position }
        let connection = try await server.connect(
          user, device: "phone", positions: position == .none ? [:] : [topic: position])
        defer { connection.abort() }
        account.withLock { $0.connections += 1 }
        await listen(connection)
      } catch {
        // Nobody is there at the moment: that is what the test is about.
      }
      account.withLock { $0.isLive = false }
      try? await Task.sleep(for: .milliseconds(20))
    }
  }

  private func listen(_ connection: RealtimeConnection) async {
    var seen: Set<UInt64> = []
    for await frame in connection.frames {
      let acknowledge: Position? = account.withLock { account in
        switch frame {
        case .event(let delivery):
          if !seen.insert(delivery.offset).inserted {
            account.complaints.append("offset \(delivery.offset) came twice on one connection")
          }
          if let skipped = delivery.skipped?.offsets { account.gaps.append(skipped) }
          if let epoch = delivery.epoch { account.position.epoch = epoch }
          let expected = account.position.offset + 1
          if delivery.offset != expected, delivery.skipped == nil {
            account.complaints.append("offset \(delivery.offset) came where \(expected) was due")
          }
          if let earlier = account.events.updateValue(delivery.event.eventID, forKey: delivery.offset),
            earlier != delivery.event.eventID
          {
            account.complaints.append("offset \(delivery.offset) was \(earlier), then \(delivery.event.eventID)")
          }
          account.position.offset = delivery.offset
          return account.position
        case .live(_, let position):
          account.position.epoch = position.epoch
          account.isLive = true
          if position.offset != account.position.offset, !account.events.isEmpty {
            account.complaints.append("live at \(position.offset), having \(account.position.offset)")
          }
          account.position.offset = position.offset
          return nil
        case .gap(let gap):
          if let offsets = gap.offsets { account.gaps.append(offsets) }
          account.complaints.append("gap \(gap.reason) in a log that loses nothing")
          return nil
        default: return nil
        }
      }
      if let acknowledge { connection.acknowledge([topic: acknowledge]) }
    }
  }
}
