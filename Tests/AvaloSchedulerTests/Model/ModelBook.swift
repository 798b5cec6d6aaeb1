import AvaloCore
import AvaloWire
import Testing

@testable import AvaloScheduler

/// What was promised to whom, and every promise that was broken.
final class ModelBook {
  private let seed: UInt64
  private let trace: () -> String
  /// By event: where it was accepted. Ids are never used for two events.
  private(set) var places: [Int: (topic: String, offset: UInt64, expires: Int64)] = [:]
  /// Publishes of which nobody knows whether they happened.
  var retry: [ModelGateway.Publishing] = []
  private var now: () -> Int64
  private(set) var isBroken = false
  /// What is off in this run, so that a broken promise is what is looked for.
  let without: ModelRule?

  init(seed: UInt64, without: ModelRule?, now: @escaping () -> Int64, trace: @escaping () -> String) {
    self.seed = seed
    self.without = without
    self.now = now
    self.trace = trace
  }

  func violation(_ what: String) {
    // The first says it; what follows from it does not matter.
    guard !isBroken else { return }
    isBroken = true
    if without == nil { Issue.record("seed \(seed): \(what)\n\(trace())") }
  }

  func payload(_ id: Int) -> String { #"{"id":\#(id)}"# }
  func priority(_ id: Int) -> Priority { Priority(rawValue: UInt8(id % 4))! }
  func payload(of record: [UInt8]) -> String {
    record.withUnsafeBytes { String(decoding: EventRecord($0)!.payload, as: UTF8.self) }
  }
  private func id(_ payload: String) -> Int { Int(payload.dropFirst(6).dropLast())! }

  /// A publish was answered with success.
  func accepted(_ event: ModelGateway.Publishing, _ published: Published) {
    if let before = places[event.id] {
      if before.offset != published.position.offset { violation("event \(event.id) was accepted twice") }
      return
    }
    places[event.id] = (event.topic, published.position.offset, now() + Int64(event.ttl) * 1000)
  }

  /// A client was given an event.
  func given(_ payload: String, _ offset: UInt64, _ topic: String, _ session: ModelSession) {
    let event = id(payload)
    if let place = places[event], place != (topic, offset, place.expires) {
      violation("event \(event) was given at \(topic) \(offset), and accepted at \(place)")
    }
    let place = ModelClient.Place(topic: topic, epoch: session.cursors[topic]!.epoch)
    if let last = session.client.onConnection[place]?.last, last >= offset {
      violation("\(topic) \(offset) came after \(last) on one connection of \(session.client.device)")
    }
    session.client.onConnection[place, default: []].append(offset)
    session.client.seen[topic, default: []].insert(offset)
  }

  /// At the end, with everybody live: nothing that was accepted and still lives is missing.
  func close(_ clients: [ModelClient], bench: CoreBench) throws {
    for (event, place) in places.sorted(by: { $0.key < $1.key }) where place.expires > now() {
      for client in clients {
        guard let start = client.start[place.topic], place.offset > start else { continue }
        if client.seen[place.topic]?.contains(place.offset) != true {
          violation("\(client.user)'s \(client.device) never got event \(event), \(place.topic) \(place.offset)")
        }
      }
    }
    for (event, place) in places where place.expires > now() {
      let there = try bench.events(place.topic)[place.offset]
      if there != payload(event) {
        violation(
          "the log has \(there ?? "nothing") at \(place.topic) \(place.offset), where event \(event) was accepted")
      }
    }
    for client in clients {
      for topic in client.topics {
        let cursor = try bench.cursor(user: client.user, device: client.device, topic) ?? 0
        let most = max(client.acknowledged[topic] ?? 0, client.start[topic] ?? 0)
        if cursor > most { violation("\(client.device)'s cursor of \(topic) is \(cursor), and it has \(most)") }
      }
    }
  }
}
