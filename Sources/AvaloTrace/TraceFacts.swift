import AvaloCore

/// What the workers know of an event's way, read out of their answers.
struct TraceFacts: Equatable {
  /// One place of the event.
  struct Copy: Equatable {
    var topic: String?
    var offset: UInt64
    /// kept, held, expired, evicted.
    var state: String
    var owner: String?
    var recipients: Int64 = 0
    var type: String?
    var className: String?
    var priority: String?
    var source: String?
    var bytes: Int64?
    var ttl: Int64?
    var acceptedAt: Int64?
    var expiresAt: Int64?
    var due: Int64?
  }

  struct Device: Equatable {
    var user: String
    var device: String
    var platform: String
    var seenAt: Int64
    /// Up to where it acknowledged; `nil` when nothing yet.
    var cursor: UInt64?
    var isOpen: Bool
    /// What lies up to here was never its own.
    var began: UInt64 = 0
    /// The first offset of the user's present membership.
    var since: UInt64?
  }

  struct Topic: Equatable {
    var name: String
    var epoch: String
    var head: UInt64
    var floor: UInt64
    var devices: [Device]
  }

  /// A connection that is there, and where it stands in one topic.
  struct Connection: Equatable {
    var instance: String
    var id: String
    var user: String
    var device: String
    var opened: Int64
    var topic: String
    /// joining, behind, parked, live.
    var state: String
    var through: UInt64?
    var backlog: Int64
  }

  /// Something that went otherwise than it should.
  struct Exception: Equatable {
    var at: Int64
    /// closed, closing, refused, denied, parked.
    var kind: String
    var user: String
    var connection: String
    var device: String
    var opened: Int64?
    /// Up to where it had been written, by topic: of a connection that closed, or of subscriptions that it lost.
    var through: [String: UInt64] = [:]
    var topic: String?
    var isClean = true
    var code: Int64?
    var why: String?
    var denied: [String: String] = [:]
  }

  var now: Int64
  var copies: [Copy] = []
  var topics: [Topic] = []
  var connections: [Connection] = []
  /// Oldest first.
  var exceptions: [Exception] = []

  /// What the scheduler answered.
  init(_ view: JSONView) {
    now = view.number("now") ?? 0
    copies = view.list("copies").map { Copy($0) }
    topics = view.list("topics").map { Topic($0) }
  }

  /// Adds what a gateway answered.
  mutating func add(_ view: JSONView) {
    let instance = view.text("instance")
    connections += view.list("connections").map { Connection($0, instance) }
    exceptions += view.list("journal").map { Exception($0) }
    exceptions.sort { $0.at < $1.at }
  }
}

extension TraceFacts.Copy {
  init(_ view: JSONView) {
    self.init(
      topic: view["topic"]?.string, offset: view.offset("offset") ?? 0, state: view.text("state"),
      owner: view["owner"]?.string, recipients: view.number("recipients") ?? 0, type: view["type"]?.string,
      className: view["class"]?.string, priority: view["priority"]?.string, source: view["sourceUserId"]?.string,
      bytes: view.number("bytes"), ttl: view.number("ttl"),
      acceptedAt: view.number("acceptedAt") ?? view.number("keptAt"),
      expiresAt: view.number("expiresAt"), due: view.number("due"))
  }
}

extension TraceFacts.Topic {
  init(_ view: JSONView) {
    self.init(
      name: view.text("name"), epoch: view.text("epoch"), head: view.offset("head") ?? 0,
      floor: view.offset("floor") ?? 0,
      devices: view.list("devices").map {
        TraceFacts.Device(
          user: $0.text("user"), device: $0.text("device"), platform: $0.text("platform"),
          seenAt: $0.number("seenAt") ?? 0, cursor: $0.offset("cursor"), isOpen: $0["open"]?.boolean ?? false,
          began: $0.offset("began") ?? 0, since: $0.offset("since"))
      })
  }
}

extension TraceFacts.Connection {
  init(_ view: JSONView, _ instance: String) {
    self.init(
      instance: instance, id: view.text("connection"), user: view.text("user"), device: view.text("device"),
      opened: view.number("opened") ?? 0, topic: view.text("topic"), state: view.text("state"),
      through: view.offset("through"), backlog: view.number("backlog") ?? 0)
  }
}

extension TraceFacts.Exception {
  init(_ view: JSONView) {
    self.init(
      at: view.number("at") ?? 0, kind: view.text("kind"), user: view.text("user"),
      connection: view.text("connection"), device: view.text("device"), opened: view.number("opened"))
    topic = view["topic"]?.string
    isClean = view["clean"]?.boolean ?? true
    code = view.number("code")
    why = view["why"]?.string ?? view["status"]?.string
    if let topics = view["topics"] {
      for member in topics.members {
        if let name = member.key.string, let offset = member.value.integer { through[name] = UInt64(clamping: offset) }
      }
    }
    if let topics = view["denied"] {
      for member in topics.members {
        if let name = member.key.string { denied[name] = member.value.string ?? "?" }
      }
    }
  }
}

extension JSONView {
  fileprivate func offset(_ key: StaticString) -> UInt64? { number(key).map { UInt64(clamping: $0) } }
}
