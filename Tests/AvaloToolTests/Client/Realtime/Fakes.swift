import AvaloCore
import Synchronization

@testable import AvaloClient

/// Time that a test moves.
final class ManualClock: ClientClock {
  private struct State {
    var now: Int64 = 0
    var sleepers: [Int: (time: Int64, continuation: CheckedContinuation<Void, any Error>)] = [:]
    var last = 0
    var cancelled: Set<Int> = []
  }
  private let state = Mutex(State())

  var now: Int64 { state.withLock { $0.now } }
  var wall: Int64 { 1_700_000_000_000 + now }

  func advance(by milliseconds: Int64) {
    let woken = state.withLock { state in
      state.now += milliseconds
      let due = state.sleepers.filter { $0.value.time <= state.now }
      for number in due.keys { state.sleepers[number] = nil }
      return due.values.map(\.continuation)
    }
    for one in woken { one.resume() }
  }

  func sleep(until time: Int64) async throws {
    let number = state.withLock {
      $0.last += 1
      return $0.last
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let answer: Result<Void, any Error>? = state.withLock {
          if $0.cancelled.remove(number) != nil { return .failure(CancellationError()) }
          if time <= $0.now { return .success(()) }
          $0.sleepers[number] = (time, continuation)
          return nil
        }
        if let answer { continuation.resume(with: answer) }
      }
    } onCancel: {
      let sleeper = state.withLock { state in
        let sleeper = state.sleepers.removeValue(forKey: number)
        if sleeper == nil { state.cancelled.insert(number) }
        return sleeper
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }
}

/// Things that happen, for a test that waits for the next one.
final class Mailbox<Item: Sendable>: Sendable {
  private let items: AsyncStream<Item>
  private let put: AsyncStream<Item>.Continuation

  init() { (items, put) = AsyncStream.makeStream(of: Item.self) }

  func put(_ item: Item) { put.yield(item) }

  /// For one test, which asks for one after the other. Throws when the test has taken too long.
  func next() async throws -> Item {
    var iterator = items.makeAsyncIterator()
    guard let item = await iterator.next() else { throw CancellationError() }
    return item
  }
}

/// Looks again and again until it is so. Throws when the test has taken too long.
func until(_ condition: () async -> Bool) async throws {
  while await !condition() {
    try Task.checkCancellation()
    await Task.yield()
  }
}

/// A transport whose every word a test decides.
final class FakeTransport: RealtimeTransport {
  let name: String
  let isDuplex: Bool
  let isPolled: Bool
  let openings = Mailbox<FakeLink>()

  /// - `isPolled`: as what is not duplex, unless it is said.
  init(_ name: String = "fake", isDuplex: Bool = true, isPolled: Bool? = nil) {
    self.name = name
    self.isDuplex = isDuplex
    self.isPolled = isPolled ?? !isDuplex
  }

  func open(_ opening: TransportOpening, _ tell: @escaping @Sendable (TransportEvent) -> Void) -> any TransportLink {
    let link = FakeLink(opening, tell)
    openings.put(link)
    return link
  }

  func passes(_ opening: TransportOpening) async -> Bool { true }
}

final class FakeLink: TransportLink {
  let opening: TransportOpening
  let sent = Mailbox<String>()
  /// Whether it reads, at each change.
  let reading = Mailbox<Bool>()
  let closes = Mailbox<Void>()
  private let tell: @Sendable (TransportEvent) -> Void

  init(_ opening: TransportOpening, _ tell: @escaping @Sendable (TransportEvent) -> Void) {
    self.opening = opening
    self.tell = tell
  }

  func send(_ frame: ClientFrame) { sent.put(frame.text.description) }
  func setReading(_ isReading: Bool) { reading.put(isReading) }
  func close() { closes.put(()) }
  func waitUntilClosed() async {}

  // MARK: What the server does

  func say(_ text: String) throws { tell(.frame(try ServerFrame(JSONText(validating: text)))) }
  func end(_ code: Int, retryAfter: Int? = nil) {
    tell(.closed(TransportEnding(code: code, retryAfterMilliseconds: retryAfter)))
  }

  func ready(_ user: String = "u", topics: [String] = ["user:u"]) throws {
    let list = topics.map { #""\#($0)""# }.joined(separator: ",")
    try say(
      #"{"ready":{"connectionId":"c1","userId":"\#(user)","deviceId":"d","subscriptions":[\#(list)],"denied":[],"#
        + #""pingInterval":25000,"serverTime":1}}"#)
  }

  func event(
    _ offset: Int, topic: String = "user:u", epoch: String? = nil, type: String = "chat_message", more: String = ""
  ) throws {
    let epoch = epoch.map { #","epoch":"000000000000000\#($0)""# } ?? ""
    try say(
      #"{"event":{"eventId":"\#(topic)-\#(offset)","type":"\#(type)","payload":{},"timestamp":1},"#
        + #""topic":"\#(topic)"\#(epoch),"offset":\#(offset)\#(more)}"#)
  }

  func live(_ offset: Int, topic: String = "user:u") throws {
    try say(#"{"live":{"topic":"\#(topic)","epoch":"0000000000000001","offset":\#(offset)}}"#)
  }

  /// The next frame that is no ping.
  func said() async throws -> String {
    while true {
      let text = try await sent.next()
      if text != #"{"ping":{}}"# { return text }
    }
  }
}

/// Positions in memory, and what became of them.
final class FakeCursors: CursorStore {
  let saved = Mailbox<[String: UInt64]>()
  private let known: [String: Position]

  init(_ known: [String: Position] = [:]) { self.known = known }

  func load(user: String, device: String?) async throws -> [String: Position] { known }
  func save(_ positions: [String: Position], user: String, device: String?) async throws {
    saved.put(positions.mapValues(\.offset))
  }
}
