import AvaloCore
import AvaloWire

/// `subscribeToRealtimeEventsV1`: over HTTP it grants topics and answers a URL with a ticket to connect to; over a
/// WebSocket it adds topics to the session.
enum SubscribeToRealtimeEvents: Callable {
  static let name: StaticString = "subscribeToRealtimeEventsV1"

  static func call(_ request: CallRequest, _ context: CallContext, reply: @escaping CallReply) throws(CallError) {
    let identity = try request.user()
    let access = context.access.current
    // A connection that is there goes on as it began.
    if case .http = request.carrier, !access.flags.engine.isOn(for: identity.user) {
      return reply(.success(Array(#"{"enabled":false}"#.utf8)))
    }
    let wanted = try ConnectRequest(request.data, topicsMax: access.settings.connections.namesMax)
    let carrier = request.carrier
    guard case .http = carrier else { return try decide(wanted, identity, carrier, access, context, reply: reply) }
    context.check(wanted.connectionID, of: identity.user) { refusal in
      if let refusal { return reply(.failure(refusal)) }
      do throws(CallError) {
        try decide(wanted, identity, carrier, access, context, reply: reply)
      } catch {
        reply(.failure(error))
      }
    }
  }

  /// Asks the webhook about the chats that nobody else knows of.
  private static func decide(
    _ wanted: ConnectRequest, _ identity: Identity, _ carrier: CallRequest.Carrier, _ access: Access,
    _ context: CallContext, reply: @escaping CallReply
  ) throws(CallError) {
    let undecided = access.undecided(wanted.topics(of: identity), for: identity)
    guard let webhook = access.membership, !undecided.isEmpty else {
      return try subscribe(wanted, identity, carrier, access, context, reply: reply)
    }
    context.services.membership(webhook, identity.user, undecided) {
      do throws(CallError) {
        try subscribe(wanted, identity, carrier, access, context, reply: reply)
      } catch {
        reply(.failure(error))
      }
    }
  }

  /// With all known that can be known.
  private static func subscribe(
    _ wanted: ConnectRequest, _ identity: Identity, _ carrier: CallRequest.Carrier, _ access: Access,
    _ context: CallContext, reply: @escaping CallReply
  ) throws(CallError) {
    var grant = access.grant(wanted.topics(of: identity), to: identity)
    if !access.flags.presence.isOn(for: identity.user) {
      grant.keep(0, orDeny: .failedPrecondition, of: \.isPresence)
    }
    // A session counts itself what it has already.
    if case .http = carrier { grant.keep(access.settings.connections.topics) { !$0.isPresence } }
    try checkAnything(grant)

    func finish(_ connectionID: String, _ grant: AccessRules.Grant, _ urls: URLs) {
      func finish(_ reads: ReadState?) {
        reply(
          .success(
            answer(connectionID, grant, urls, reads: reads, expiresAt: identity.expiresAtMilliseconds)))
      }
      let query = QueryReads(user: identity.user, chats: grant.granted.compactMap(\.chatID))
      // A session was told when it came in, and of no chat there is more to tell.
      if urls.webSocket == nil, query.chats.isEmpty { return finish(nil) }
      // What is unread is told if it is known: nobody waits outside because of it.
      context.services.ask(query) { finish(try? $0.get()) }
    }
    switch carrier {
    case .session(let session):
      session.subscribe(grant, positions: wanted.positions) { result in
        do throws(CallError) {
          finish(session.connectionID, try left(of: grant, without: result.get()), URLs())
        } catch {
          reply(.failure(error))
        }
      }
    case .http(let host, let secure, _):
      findMemberships(grant, identity, access, context) { result in
        do throws(CallError) {
          let grant = try left(of: grant, without: result.get())
          var request = wanted
          request.connectionID = wanted.connectionID ?? context.newConnectionID()
          request.subscriptions = grant.granted.map(\.name)
          // What is refused leaves nothing in the log.
          let signed = try urls(request, identity, host: host, secure: secure, access, context)
          // With a device and no name for the connection its polls say where they stand, or which device they are.
          let isKept = wanted.connectionID != nil || wanted.deviceID == nil
          findStarts(request, isKept: isKept, identity, context) { starts in
            do throws(CallError) {
              var urls = signed
              urls.cursor = try cursor(request, starts.get())
              finish(request.connectionID ?? "", grant, urls)
            } catch {
              reply(.failure(error))
            }
          }
        } catch {
          reply(.failure(error))
        }
      }
    }
  }

  /// Where polls begin: what comes from now on is theirs, however late the first of them. The log keeps it for those that will
  /// name their connection and nothing else; when it cannot, and there is more than the inbox, the call fails rather than
  /// that such polls leave it out. `nil` when the log does not say where.
  private static func findStarts(
    _ request: ConnectRequest, isKept: Bool, _ identity: Identity, _ context: CallContext,
    completion: @escaping (Result<[Topic: Position]?, CallError>) -> Void
  ) {
    let topics = (request.subscriptions ?? []).compactMap { Topic($0) }.filter { !$0.isPresence }
    // With presence alone nothing begins anywhere, but polls are no longer of what they were.
    guard isKept || !topics.isEmpty else { return completion(.success(request.positions)) }
    let query = StartsQuery(
      token: identity.token, device: request.deviceID ?? request.connectionID ?? "",
      connection: isKept ? request.connectionID ?? "" : "",
      topics: topics.map { .init($0, at: request.positions[$0] ?? .none) })
    context.services.ask(query) { result in
      switch result {
      case .success(let starts) where starts.positions.count == topics.count:
        var positions = request.positions
        for (topic, position) in zip(topics, starts.positions) where position != .none && positions[topic] == nil {
          positions[topic] = position
        }
        completion(.success(positions))
      case .failure(let error) where topics.contains { $0.name != "user:" + identity.user }:
        completion(.failure(error))
      default: completion(.success(nil))
      }
    }
  }

  /// Which of the chats that only members may have are refused. Asked again when the ticket is redeemed.
  private static func findMemberships(
    _ grant: AccessRules.Grant, _ identity: Identity, _ access: Access, _ context: CallContext,
    completion: @escaping (Result<[AccessRules.Grant.Denial], CallError>) -> Void
  ) {
    let asked = grant.granted.filter(grant.ifMember.contains)
    guard !asked.isEmpty else { return completion(.success([])) }
    let query = MembershipQuery(entries: asked.map { .init(chat: String($0.id), user: identity.user) })
    context.services.ask(query) { result in
      completion(
        result.map { answer in
          zip(asked, answer.since).filter { $1 == 0 }
            .map { access.denial(of: $0.0, .permissionDenied, to: identity.user) }
        })
    }
  }

  private static func left(
    of grant: AccessRules.Grant, without denied: [AccessRules.Grant.Denial]
  ) throws(CallError) -> AccessRules.Grant {
    var grant = grant
    grant.deny(denied)
    try checkAnything(grant)
    return grant
  }

  private static func checkAnything(_ grant: AccessRules.Grant) throws(CallError) {
    if grant.isForAnotherTime { throw .membershipUnknown }
    guard grant.denied.isEmpty || !grant.granted.isEmpty else {
      throw CallError(.permissionDenied, "no topic asked for is allowed: \(grant.denied.map(\.topic).prefix(5))")
    }
  }

  /// Where to connect, each with a ticket, and where to poll from.
  private struct URLs {
    var webSocket: String?
    /// Absent with more topics than a stream may have, as is the cursor, which is absent as well while the log does not answer. That has no presence topics, which polls do not tell.
    var events: String?
    var cursor: String?
  }

  private static func urls(
    _ request: ConnectRequest, _ identity: Identity, host: String?, secure: Bool, _ access: Access,
    _ context: CallContext
  ) throws(CallError) -> URLs {
    // As long as the token itself is taken.
    let end = identity.expiresAtMilliseconds + access.settings.auth.leeway.milliseconds
    func sign(_ use: Ticket.Use, until expires: Int64) -> String {
      access.tickets.sign(
        Ticket(
          use: use, id: Tickets.newID(using: &context.random), identity: identity, request: request,
          expiresAtMilliseconds: expires))
    }
    let base = try base(host: host, secure: secure, access)
    let soon = context.wall.milliseconds + GatewayLimits.ticketLifetime.milliseconds
    let webSocket = "\(base)/ws?ticket=\(sign(.webSocket, until: min(soon, end)))"
    guard webSocket.utf8.count <= GatewayLimits.ticketURLBytesMax else {
      throw CallError(
        .invalidArgument,
        "the subscriptions, positions and chats make a URL of \(webSocket.utf8.count) bytes, and "
          + "\(GatewayLimits.ticketURLBytesMax) fit: connect without a ticket, with a \"connect\" frame")
    }
    // `ws` becomes `http`, and `wss` `https`.
    let events = "http\(base.dropFirst(2))/events?ticket=\(sign(.events, until: end))"
    let fits =
      (request.subscriptions ?? []).count <= HubLimits.streamTopicsMax
      && events.utf8.count <= GatewayLimits.ticketURLBytesMax
    return URLs(webSocket: webSocket, events: fits ? events : nil)
  }

  private static func cursor(_ request: ConnectRequest, _ starts: [Topic: Position]?) -> String? {
    let topics = (request.subscriptions ?? []).compactMap { Topic($0) }
    guard let starts, topics.count <= HubLimits.streamTopicsMax else { return nil }
    var cursor: [UInt8] = []
    for topic in topics where !topic.isPresence { PositionVector.append(topic, starts[topic], to: &cursor) }
    return cursor.isEmpty ? nil : String(decoding: cursor, as: UTF8.self)
  }

  /// What URLs begin with: a WebSocket scheme and a host.
  private static func base(host: String?, secure: Bool, _ access: Access) throws(CallError) -> String {
    if let publicURL = access.settings.publicURL { return publicURL }
    guard let host, !host.isEmpty else {
      throw CallError(.failedPrecondition, "the request has no Host header, and public_url is not set")
    }
    return (secure ? "wss://" : "ws://") + host
  }

  private static func answer(
    _ connectionID: String, _ grant: AccessRules.Grant, _ urls: URLs, reads: ReadState?, expiresAt: Int64
  ) -> [UInt8] {
    var json = JSONWriter(capacity: 512)
    json.object {
      $0.member("enabled", true)
      $0.member("connectionId", connectionID)
      if let url = urls.webSocket { $0.member("wsUrl", url) }
      if let url = urls.events { $0.member("eventsUrl", url) }
      if let cursor = urls.cursor { $0.member("cursor", cursor) }
      grant.write(to: &$0)
      reads?.write(to: &$0)
      $0.member("expiresAt", expiresAt)
    }
    return json.bytes
  }
}

extension AccessRules.Grant {
  /// The members `subscriptions` and `denied`, as answers and `ready` frames show them.
  func write(to json: inout JSONWriter) {
    json.key("subscriptions")
    json.array { for topic in granted { $0.string(topic.name) } }
    json.key("denied")
    json.array {
      for denial in denied {
        $0.object {
          $0.member("topic", denial.topic)
          $0.member("code", denial.code.wireName)
        }
      }
    }
  }
}
