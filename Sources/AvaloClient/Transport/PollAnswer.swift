import AvaloCore

/// A poll's answer as the frames that a stream would have brought. A pure value.
struct PollAnswer {
  /// Events, gaps and ends of subscriptions.
  var news: [ServerFrame]
  /// Where each topic stands behind that, as frames: true of a topic when nothing more was there.
  var live: [ServerFrame]
  /// To be handed back, when what is needed is processed.
  var cursor: String?
  /// How far topics must be processed, since handing the cursor back says that they are.
  var need: [String: Position]

  /// What the first call answers: who is connected, and where to begin. `nil` when the engine is off for the user.
  static func begin(_ answer: JSONText) throws(ClientError) -> (ServerFrame.Ready, cursor: String?)? {
    if answer.read({ $0["enabled"]?.boolean }) == false { return nil }
    let ready = answer.read { view in
      ServerFrame.Ready(
        connectionID: view["connectionId"]?.string ?? "", userID: "", deviceID: "",
        subscriptions: view["subscriptions"]?.elements.compactMap(\.string) ?? [], denied: ServerFrame.denied(view),
        unread: ServerFrame.unread(view), receipts: ServerFrame.receipts(view),
        // What is only listened to is given as long as a poll may take.
        pingIntervalMilliseconds: ClientLimits.pollHoldMilliseconds + ClientLimits.connectTimeoutMilliseconds,
        expiresAtMilliseconds: view["expiresAt"]?.integer, text: answer)
    }
    return (ready, answer.read { $0["cursor"]?.string })
  }

  /// - `subscriptions`: what the cursor would say, while there is none.
  /// - `holdMilliseconds`: 0 for what there is at the moment.
  static func request(
    _ connectionID: String?, cursor: String?, deviceID: String?, subscriptions: [String],
    holdMilliseconds: Int = ClientLimits.pollHoldMilliseconds
  ) -> JSONText {
    JSONText { json in
      json.object {
        if let connectionID { $0.member("connectionId", connectionID) }
        if let cursor {
          $0.member("cursor", cursor)
        } else {
          $0.key("subscriptions")
          $0.array { for topic in subscriptions { $0.string(topic) } }
        }
        $0.member("holdMs", holdMilliseconds)
        if let deviceID { $0.member("deviceId", deviceID) }
      }
    }
  }

  /// Positions as the server writes them, as many in one as a poll may have: handed back, they are processed.
  static func cursors(_ positions: [String: Position]) -> [String] {
    let all = positions.sorted { $0.key < $1.key }
      .map { "\($0.key)=\($0.value.epoch.description).\($0.value.offset)" }
    return stride(from: 0, to: all.count, by: ClientLimits.streamTopicsMax).map {
      all[$0..<min($0 + ClientLimits.streamTopicsMax, all.count)].joined(separator: ",")
    }
  }

  init(_ answer: JSONText) throws(ClientError) {
    let (cursor, positions) = answer.read { view in
      let cursor = view["cursor"]?.string
      return (cursor, PollAnswer.positions(cursor ?? ""))
    }
    self.cursor = cursor
    live = positions.sorted { $0.key < $1.key }.map { .live(topic: $0.key, $0.value) }
    let news: Result<[ServerFrame], FrameError> = answer.read { view in
      Result { () throws(FrameError) in try PollAnswer.news(view, positions) }
    }
    do {
      self.news = try news.get()
    } catch {
      throw .broken("the server's answer to a poll: \(error)")
    }
    need = self.news.reduce(into: [:]) { need, frame in
      guard case .event(let delivery) = frame, !delivery.isAhead, let epoch = delivery.epoch else { return }
      need[delivery.topic] = Position(epoch: epoch, offset: delivery.offset)
    }
  }

  private static func news(_ view: JSONView, _ positions: [String: Position]) throws(FrameError) -> [ServerFrame] {
    var frames: [ServerFrame] = []
    for event in view["events"]?.elements.map({ JSONText($0) }) ?? [] {
      let topic = event.read { $0["topic"]?.string } ?? ""
      frames.append(try frame(event, epoch: positions[topic]?.epoch))
    }
    // Behind the events: a gap moves the position, and the events before it are not past yet.
    for gap in view["gaps"]?.elements.map({ JSONText($0) }) ?? [] {
      frames.append(
        try ServerFrame(
          JSONText { json in
            json.object {
              $0.key("gap"); $0.raw(gap.bytes)
            }
          }))
    }
    for ended in view["unsubscribed"]?.elements.map({ JSONText($0) }) ?? [] {
      frames.append(
        try ServerFrame(
          JSONText { json in
            json.object {
              $0.key("unsubscribed"); $0.raw(ended.bytes)
            }
          }))
    }
    return frames
  }

  /// An event of an answer has its place among its own members; in a frame it stands beside them.
  private static func frame(_ event: JSONText, epoch: Epoch?) throws(FrameError) -> ServerFrame {
    let text = event.read { view in
      JSONText { json in
        json.object { json in
          json.key("event")
          json.raw(view.raw)
          for key in ["topic", "offset", "version", "ahead", "snapshot", "epoch"] as [StaticString] {
            guard let value = view[key] else { continue }
            json.key(key)
            json.raw(value.raw)
          }
          if view["epoch"] == nil, let epoch, view["offset"] != nil { json.member("epoch", epoch.description) }
        }
      }
    }
    return try ServerFrame(text)
  }

  /// `user:ann=0000000142d1c0aa.17,…`; a topic that has no position yet stands there without one.
  static func positions(_ cursor: String) -> [String: Position] {
    var found: [String: Position] = [:]
    for one in cursor.split(separator: ",") {
      guard let equals = one.lastIndex(of: "="), let dot = one[equals...].lastIndex(of: "."),
        let epoch = Epoch(String(one[one.index(after: equals)..<dot])),
        let offset = Int64(one[one.index(after: dot)...]).flatMap(UInt64.init(exactly:))
      else { continue }
      found[String(one[..<equals])] = Position(epoch: epoch, offset: offset)
    }
    return found
  }
}
