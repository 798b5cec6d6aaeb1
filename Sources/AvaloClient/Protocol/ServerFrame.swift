import AvaloCore

/// What the server says in one frame of `avalo.v1`. Shapes: docs/protocol/client.md.
public enum ServerFrame: Sendable, Equatable {
  /// Authenticated; the subscriptions are in place, their replays begin.
  case ready(Ready)
  /// An event of a log, with its place in it.
  case event(Delivery)
  /// An event that is of no log, such as a change of somebody's presence: without an offset, and not acknowledged.
  case fact(Fact)
  /// Offsets that will not come.
  case gap(Gap)
  /// The replay of a topic has reached the present.
  case live(topic: String, Position)
  /// The answer to a call.
  case answer(id: JSONText, Result<JSONText, CallError>)
  /// Answers a ping.
  case pong(id: JSONText?)
  /// The subscription has ended though nobody asked for it: the user's right to the topic has.
  case unsubscribed(topic: String, CallError)
  /// The connection ends; come back after that many milliseconds.
  case goaway(retryAfterMilliseconds: Int)
  /// The token ends then (ms since 1970); a new one keeps the connection.
  case expiring(atMilliseconds: Int64)
  /// Something that a later server says.
  case unknown(JSONText)
  /// What was wrong with a frame that was no call, or why the connection ends.
  case error(CallError)

  /// What the server says when it lets a connection in.
  public struct Ready: Sendable, Equatable {
    /// The server's name for the connection.
    public var connectionID: String
    /// Who is connected; empty over polls.
    public var userID: String
    /// Whose cursor moves with acknowledgements; empty over polls.
    public var deviceID: String
    /// Topics that were granted.
    public var subscriptions: [String]
    /// Topics that were not.
    public var denied: [Denied]
    /// Unread messages by chat; `nil` when the server cannot say at the moment. 1000 is that many or more.
    public var unread: [String: Int]?
    /// The newest receipts of the chats subscribed to.
    public var receipts: [Receipt]
    /// How long the client may be silent.
    public var pingIntervalMilliseconds: Int
    /// When the token ends, in milliseconds since 1970.
    public var expiresAtMilliseconds: Int64?
    /// The whole of it.
    public var text: JSONText
  }

  /// Up to where a user has read a chat.
  public struct Receipt: Sendable, Equatable {
    public var chatID: String
    public var userID: String
    public var messageID: String
    /// Milliseconds since 1970.
    public var readAtMilliseconds: Int64
    /// Of two for one chat and user the higher counts.
    public var version: Int64
  }

  /// A topic that was asked for and is not allowed.
  public struct Denied: Sendable, Equatable {
    public var topic: String
    /// The canonical status, such as `PERMISSION_DENIED`.
    public var code: String
  }

  /// Offsets of a topic that will not come.
  public struct Gap: Sendable, Equatable {
    public var topic: String
    /// Absent when the topic's log was lost or restored.
    public var offsets: ClosedRange<UInt64>?
    /// `expired`, `evicted`, `membership` or `epoch`.
    public var reason: String
    /// The new epoch, when that is the reason.
    public var epoch: Epoch?
  }
}

/// What somebody is told about the present: of a `presence:` topic, or who is typing in a chat.
public struct Fact: Sendable, Equatable {
  public var topic: String
  /// Of two states of one thing the higher counts; typing has none.
  public var version: Int64?
  public var event: ReceivedEvent
  /// What is, rather than what has changed.
  public var isSnapshot: Bool
  /// The whole frame.
  public var text: JSONText
}

/// An event as it came, with its place in its topic.
public struct Delivery: Sendable, Equatable {
  public var topic: String
  public var offset: UInt64
  /// On the first event of a topic on a connection, and after each change.
  public var epoch: Epoch?
  /// What lay between the last event and this one and will not come.
  public var skipped: ServerFrame.Gap?
  /// An urgent event that overtook a running replay: it moves no position.
  public var isAhead: Bool
  public var event: ReceivedEvent
  /// The whole frame.
  public var text: JSONText
}

/// An event's fields. What is not there is `nil`.
public struct ReceivedEvent: Sendable, Equatable {
  public var eventID: String
  /// The wire name; a type of a later server is passed on as it is.
  public var type: String
  public var targetUserID: String?
  public var sourceUserID: String?
  /// A JSON object, byte for byte as it was published.
  public var payload: JSONText
  /// Milliseconds since 1970.
  public var timestampMilliseconds: Int64
  public var ttlSeconds: Int?
  public var priority: Priority
}

/// Why a frame could not be read.
public struct FrameError: Error, Sendable, CustomStringConvertible {
  public var description: String
}

extension ServerFrame {
  /// Reads one frame. Members it does not know are passed over, so that a newer server can say more.
  public init(_ text: JSONText) throws(FrameError) {
    let result: Result<ServerFrame, FrameError> = text.read { view in
      Result { () throws(FrameError) in try ServerFrame(text, view) }
    }
    self = try result.get()
  }

  private init(_ text: JSONText, _ view: JSONView) throws(FrameError) {
    if let event = view["event"], view["offset"] == nil {
      self = .fact(
        Fact(
          topic: try view.need("topic", \.string), version: view["version"]?.integer, event: try ReceivedEvent(event),
          isSnapshot: view["snapshot"]?.boolean ?? false, text: text))
    } else if let event = view["event"] {
      self = .event(try Delivery(text, view, event))
    } else if let live = view["live"] {
      let epoch = try live.need("epoch", \.epoch)
      self = .live(
        topic: try live.need("topic", \.string), Position(epoch: epoch, offset: try live.need("offset", \.offset)))
    } else if let gap = view["gap"] {
      self = .gap(try Gap(topic: try gap.need("topic", \.string), gap))
    } else if let ready = view["ready"] {
      self = .ready(try Ready(text, ready))
    } else if let ended = view["unsubscribed"] {
      let code = StatusCode.allCases.first { $0.wireName == ended["code"]?.string } ?? .unknown
      self = .unsubscribed(
        topic: try ended.need("topic", \.string), CallError(code, ended["message"]?.string ?? ""))
    } else if let id = view["id"], view["pong"] == nil {
      if let error = view["error"] {
        self = .answer(id: JSONText(id), .failure(CallError(view: error)))
      } else {
        self = .answer(id: JSONText(id), .success(try view.need("result", { JSONText($0) })))
      }
    } else if view["pong"] != nil {
      self = .pong(id: view["id"].map { JSONText($0) })
    } else if let goaway = view["goaway"] {
      self = .goaway(retryAfterMilliseconds: Int(clamping: goaway["retryAfterMs"]?.integer ?? 0))
    } else if let expiring = view["expiring"] {
      self = .expiring(atMilliseconds: expiring["expiresAt"]?.integer ?? 0)
    } else if let error = view["error"] {
      self = .error(CallError(view: error))
    } else if view.kind == .object {
      self = .unknown(text)
    } else {
      throw FrameError(description: "a frame that is no object: \(text.description.prefix(200))")
    }
  }
}

extension ServerFrame.Ready {
  fileprivate init(_ text: JSONText, _ view: JSONView) throws(FrameError) {
    connectionID = try view.need("connectionId", \.string)
    userID = try view.need("userId", \.string)
    deviceID = view["deviceId"]?.string ?? ""
    subscriptions = view["subscriptions"]?.elements.compactMap(\.string) ?? []
    denied = ServerFrame.denied(view)
    unread = ServerFrame.unread(view)
    receipts = ServerFrame.receipts(view)
    pingIntervalMilliseconds = Int(clamping: try view.need("pingInterval", \.integer))
    expiresAtMilliseconds = view["expiresAt"]?.integer
    self.text = text
  }
}

extension ServerFrame {
  /// The members that `ready` and the answer to subscribing share.
  static func denied(_ view: JSONView) -> [Denied] {
    view["denied"]?.elements.map { Denied(topic: $0["topic"]?.string ?? "", code: $0["code"]?.string ?? "") } ?? []
  }

  static func unread(_ view: JSONView) -> [String: Int]? {
    view["unread"]?.members.reduce(into: [:]) { counts, member in
      if let chat = member.key.string, let count = member.value.integer { counts[chat] = Int(clamping: count) }
    }
  }

  static func receipts(_ view: JSONView) -> [Receipt] {
    view["receipts"]?.elements.compactMap { one in
      guard let chat = one["chatId"]?.string, let user = one["userId"]?.string,
        let message = one["messageId"]?.string, let version = one["version"]?.integer
      else { return nil }
      return Receipt(
        chatID: chat, userID: user, messageID: message, readAtMilliseconds: one["readAt"]?.integer ?? 0,
        version: version)
    } ?? []
  }
}

extension ServerFrame.Receipt {
  /// As a `read_receipt` has it.
  var payload: JSONText {
    JSONText { json in
      json.object {
        $0.member("chatId", chatID)
        $0.member("userId", userID)
        $0.member("messageId", messageID)
        $0.member("readAt", readAtMilliseconds)
      }
    }
  }
}

extension ServerFrame.Gap {
  fileprivate init(topic: String, _ view: JSONView) throws(FrameError) {
    self.topic = topic
    reason = try view.need("reason", \.string)
    epoch = view["epoch"]?.epoch
    if view["from"] == nil { return }
    let from = try view.need("from", \.offset)
    let to = try view.need("to", \.offset)
    guard from <= to else { throw FrameError(description: "a gap from \(from) to \(to)") }
    offsets = from...to
  }
}

extension Delivery {
  fileprivate init(_ text: JSONText, _ frame: JSONView, _ event: JSONView) throws(FrameError) {
    topic = try frame.need("topic", \.string)
    offset = try frame.need("offset", \.offset)
    epoch = frame["epoch"]?.epoch
    if let view = frame["skipped"] { skipped = try ServerFrame.Gap(topic: topic, view) }
    isAhead = frame["ahead"]?.boolean ?? false
    self.event = try ReceivedEvent(event)
    self.text = text
  }
}

extension ReceivedEvent {
  fileprivate init(_ event: JSONView) throws(FrameError) {
    self.init(
      eventID: try event.need("eventId", \.string),
      type: try event.need("type", \.string),
      targetUserID: event["targetUserId"]?.string,
      sourceUserID: event["sourceUserId"]?.string,
      payload: try event.need("payload", { JSONText($0) }),
      timestampMilliseconds: try event.need("timestamp", \.integer),
      ttlSeconds: event["ttl"]?.integer.map { Int(clamping: $0) },
      priority: event["priority"]?.string.flatMap(Priority.init(wireName:)) ?? .normal)
  }
}

extension JSONView {
  fileprivate var epoch: Epoch? { string.flatMap(Epoch.init) }
  fileprivate var offset: UInt64? { integer.flatMap { UInt64(exactly: $0) } }

  fileprivate func need<Value>(_ key: StaticString, _ read: (JSONView) -> Value?) throws(FrameError) -> Value {
    guard let value = self[key].flatMap(read) else {
      throw FrameError(description: "\(key) is missing or wrong in \(String(decoding: raw.prefix(200), as: UTF8.self))")
    }
    return value
  }
}
