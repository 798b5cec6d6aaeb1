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
    _ request: ConnectRequest, _ identity: Identity, _ carrier: CallRequest.Carrier, _ access: Access,
    _ context: CallContext, reply: @escaping CallReply
  ) throws(CallError) {
    var wanted = request
    var grant = access.grant(wanted.topics(of: identity), to: identity)
    if !access.flags.presence.isOn(for: identity.user) {
      grant.keep(0, orDeny: .failedPrecondition, of: \.isPresence)
    }
    if grant.isForAnotherTime { throw .membershipUnknown }
    guard grant.denied.isEmpty || !grant.granted.isEmpty else {
      throw CallError(.permissionDenied, "no topic asked for is allowed: \(grant.denied.map(\.topic).prefix(5))")
    }

    let query = QueryReads(user: identity.user, chats: grant.granted.compactMap(\.chatID))
    func finish(_ connectionID: String, _ url: String?) {
      func finish(_ reads: ReadState?) {
        reply(
          .success(
            answer(connectionID, grant, url: url, reads: reads, expiresAt: identity.expiresAtMilliseconds)))
      }
      // A session was told when it came in, and of no chat there is more to tell.
      if url == nil, query.chats.isEmpty { return finish(nil) }
      // What is unread is told if it is known: nobody waits outside because of it.
      context.services.reads(query) { finish(try? $0.get()) }
    }
    switch carrier {
    case .session(let session):
      session.subscribe(grant.granted, positions: wanted.positions) { result in
        guard case .success = result else { return reply(result.map { [] }) }
        finish(session.connectionID, nil)
      }
    case .http(let host, let secure):
      let connectionID = wanted.connectionID ?? context.newConnectionID()
      wanted.connectionID = connectionID
      wanted.subscriptions = grant.granted.map(\.name)
      let url = try url(wanted, identity, host: host, secure: secure, access, context)
      finish(connectionID, url)
    }
  }

  /// Where to connect, with the ticket.
  private static func url(
    _ request: ConnectRequest, _ identity: Identity, host: String?, secure: Bool, _ access: Access,
    _ context: CallContext
  ) throws(CallError) -> String {
    let lifetime = GatewayLimits.ticketLifetime.milliseconds
    let ticket = Ticket(
      id: Tickets.newID(using: &context.random), identity: identity, request: request,
      expiresAtMilliseconds: min(
        context.wall.milliseconds + lifetime,
        identity.expiresAtMilliseconds + access.settings.auth.leeway.milliseconds))
    let base: String
    if let publicURL = access.settings.publicURL {
      base = publicURL
    } else if let host, !host.isEmpty {
      base = (secure ? "wss://" : "ws://") + host
    } else {
      throw CallError(.failedPrecondition, "the request has no Host header, and public_url is not set")
    }
    let url = "\(base)/ws?ticket=\(access.tickets.sign(ticket))"
    guard url.utf8.count <= GatewayLimits.ticketURLBytesMax else {
      throw CallError(
        .invalidArgument,
        "the subscriptions, positions and chats make a URL of \(url.utf8.count) bytes, and "
          + "\(GatewayLimits.ticketURLBytesMax) fit: connect without a ticket, with a \"connect\" frame")
    }
    return url
  }

  private static func answer(
    _ connectionID: String, _ grant: AccessRules.Grant, url: String?, reads: ReadState?, expiresAt: Int64
  ) -> [UInt8] {
    var json = JSONWriter(capacity: 512)
    json.object {
      $0.member("enabled", true)
      $0.member("connectionId", connectionID)
      if let url { $0.member("wsUrl", url) }
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
