import AvaloCore

/// What `GET /events` asks for: with a ticket in its URL, or with a token in its header and the wishes in the URL.
struct EventsRequest {
  private let identity: Identity
  private let request: ConnectRequest

  /// - `query`: what stands behind the URL's `?`.
  init(_ query: String, _ facts: HTTPRequestFacts, _ access: Access, _ calls: CallContext) throws(CallError) {
    try access.cors.mayListen(facts.origin)
    let fields = try EventsRequest.fields(query)
    var request: ConnectRequest
    if let ticket = fields["ticket"] {
      do throws(Tickets.Refusal) {
        let redeemed = try access.tickets.redeem(ticket, for: .events, now: calls.wall.milliseconds)
        (identity, request) = (redeemed.identity, redeemed.request)
      } catch {
        throw error.callError
      }
    } else {
      guard case .user(let user) = try access.caller(authorization: facts.authorization, now: calls.wall.milliseconds)
      else {
        throw CallError(
          .unauthenticated, "/events needs a ticket in its URL, or a user's token: Authorization: Bearer …")
      }
      identity = user
      request = try EventsRequest.wishes(fields)
    }
    if let id = facts.lastEventID, !id.isEmpty {
      guard let vector = PositionVector.parse(id) else {
        throw CallError(.invalidArgument, "Last-Event-ID is none of ours: \(id.prefix(80))")
      }
      request.positions.merge(vector.positions) { $1 }
    }
    self.request = request
  }

  /// - `client`: the address that the stream is counted for, if its connection is not.
  func start(_ service: HTTPService, _ client: String?) throws(CallError) -> StreamStart {
    guard let streams = service.streams?.events else { throw .noStreams }
    if let refusal = streams.refusal(identity, request) { throw refusal }
    return StreamStart(streams: streams, identity: identity, request: request, address: client)
  }

  private static func wishes(_ fields: [String: String]) throws(CallError) -> ConnectRequest {
    func identifier(_ name: String) throws(CallError) -> String? {
      guard let value = fields[name] else { return nil }
      guard Topic.isWellFormedID(value.utf8) else {
        throw CallError(
          .invalidArgument, "\(name) must be 1 to \(Limits.identifierBytesMax) of A-Z, a-z, 0-9, _ . @ -")
      }
      return value
    }
    var request = ConnectRequest(
      connectionID: try identifier("connectionId"), deviceID: try identifier("deviceId"),
      subscriptions: fields["subscriptions"]?.split(separator: ",").map(String.init))
    if let name = fields["platform"] {
      guard let platform = Platform(wireName: name) else {
        throw CallError(.invalidArgument, "platform must be one of web, ios, android")
      }
      request.platform = platform
    }
    return request
  }

  /// The last of each name counts. What is unknown here, such as what keeps caches away, is passed over.
  private static func fields(_ query: String) throws(CallError) -> [String: String] {
    var fields: [String: String] = [:]
    for item in query.split(separator: "&") {
      let sides = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = decoded(sides[0]), let value = decoded(sides.count == 2 ? sides[1] : "") else {
        throw CallError(.invalidArgument, "the URL's query is not percent-encoded UTF-8: \(item.prefix(80))")
      }
      fields[name] = value
    }
    return fields
  }

  /// Percent-decoded (RFC 3986 §2.1); `nil` when it is not, or no UTF-8.
  static func decoded(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else { return nil }
      bytes.append(high << 4 | low)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}

extension CallError {
  static let draining = CallError(.unavailable, "this instance is draining", retryAfterMilliseconds: 1000)
  static let noStreams = CallError(.unimplemented, "nothing is streamed here")
}
