import AvaloCore
import AvaloReactor
import AvaloSystem
import AvaloWire
import Testing

@testable import AvaloGateway

// The steps that tests of a hub are made of. The topic is always the first one watched.
extension TestLoop {
  var handle: UInt32 { 1 << 24 }

  /// Connects a user to their inbox (and no more); answers the attach with `cursor`, and the watch with `head` when given.
  func connect(
    _ user: String, presents: Position? = nil, cursor: Position = Position(epoch: testEpoch, offset: .max),
    head: Position? = nil, floor: UInt64 = 0, lifetime: Duration = .seconds(3600), chats: [String] = []
  ) throws -> ConnectionID {
    let connection = open()
    let request = ConnectRequest(positions: presents.map { [Topic("user:" + user)!: $0] } ?? [:])
    var identity = identity(user, chats: chats)
    identity.expiresAtMilliseconds = clock.wall.milliseconds + lifetime.components.seconds * 1000
    turn { hub.connect(hub.session(of: connection)!, identity, request) }
    let attach = try #require(try port.take(Attach.self).last)
    scheduler {
      $0.frame(
        Attached(cursors: attach.message.topics.map { _ in cursor }), correlation: attach.correlation)
    }
    if let head { try watched(head, floor: floor) }
    return connection
  }

  /// A user who is live at `head`.
  func live(_ user: String, at head: Position, chats: [String] = []) throws -> ConnectionID {
    linkUp()
    let connection = try connect(user, cursor: head, head: head, chats: chats)
    _ = take(connection)
    return connection
  }

  func watched(_ head: Position, floor: UInt64 = 0) throws {
    scheduler { $0.frame(Watched(heads: [Head(handle: handle, position: head, floor: floor)])) }
  }

  func deliver(
    _ offset: UInt64, _ text: String, priority: Priority = .normal, expires: Int64 = 0, source: String = "",
    chat: String = "", handle: UInt32? = nil
  ) {
    scheduler {
      Deliver.write(
        record: record(text, priority: priority, expires: expires, source: source, chat: chat),
        targets: [.init(handle: handle ?? self.handle, offset: offset)],
        into: &$0)
    }
  }

  /// Checks that exactly this read was asked for, and answers it.
  func answerRead(
    after: UInt64, upTo: UInt64, through: UInt64? = nil, floor: UInt64 = 0, _ rows: [(UInt64, String)]
  ) throws {
    let reads = try port.take(Read.self)
    let read = try #require(reads.first)
    #expect(reads.count == 1 && read.message.after == after && read.message.upTo == upTo)
    scheduler {
      ReadResult.write(
        epoch: read.message.epoch, floor: floor, through: through ?? upTo,
        rows: rows.map { (offset: $0.0, record: record($0.1)) }, correlation: read.correlation, into: &$0)
    }
  }
}

let testEpoch = Epoch(generation: 1, nonce: 7)

func identity(_ user: String, chats: [String] = []) -> Identity {
  Identity(user: user, expiresAtMilliseconds: 0, chats: chats)
}

func record(
  _ text: String, priority: Priority = .normal, expires: Int64 = 0, source: String = "", chat: String = ""
) -> [UInt8] {
  var record = EventFields(
    type: .chatMessage, priority: priority, timestampMilliseconds: 1, acceptedMicroseconds: 1, eventID: "e",
    sourceUserID: source, chatID: chat, payload: Array(#"{"text":"\#(text)"}"#.utf8)
  ).record()
  record.withUnsafeMutableBytes { EventRecord.setExpiry(expires, in: $0) }
  return record
}

extension Attached {
  /// All granted, by rule or token.
  init(cursors: [Position]) { self.init(answers: cursors.map { .granted($0, since: 0) }) }
}

extension GatewayPolicy {
  /// The built-in rules, no keys, and the settings' defaults; the engine is on for everybody.
  static func forTests(_ change: (inout GatewaySettings) -> Void = { _ in }) -> GatewayPolicy {
    var settings = GatewaySettings.read(.emptySection, folder: nil).settings
    settings.flags.engine.rollout = 10_000
    change(&settings)
    return GatewayPolicy(
      Access(
        settings: settings, authenticator: Authenticator(keys: VerificationKeys(), settings: settings.auth),
        apiKeys: APIKeys(), tickets: Tickets(key: [UInt8](repeating: 7, count: 32)), revocations: .current()))
  }
}

extension String {
  /// A server frame's kind: the first of its keys that names one.
  var kindOfFrame: String {
    ["ready", "event", "gap", "live", "pong", "goaway", "error"].first { hasPrefix("{\"\($0)\":") } ?? self
  }
}

extension Array where Element == String {
  /// Of the event frames, `offset:text`.
  var events: [String] {
    compactMap { frame in
      guard frame.kindOfFrame == "event" else { return nil }
      return [UInt8](frame.utf8).withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> String in
        guard let json = try? JSONView(validating: bytes), let offset = json["offset"]?.integer,
          let text = json["event"]?["payload"]?["text"]?.string
        else { return "malformed" }
        return "\(offset):\(text)"
      }
    }
  }
}
