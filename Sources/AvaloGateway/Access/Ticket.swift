import AvaloCore
import AvaloWire
import Crypto

/// A subscription that was granted over HTTP, on its way to a WebSocket: in the URL, signed, good once and briefly.
public struct Ticket: Sendable, Equatable {
  public enum Use: UInt8, Sendable {
    /// Opens one WebSocket.
    case webSocket = 1
    /// Opens the event stream of its connection, again and again: a browser comes back to the same URL.
    case events = 2
  }

  public var use: Use
  /// Random; the scheduler spends it with the session's attach.
  public var id: String
  /// Of the token it was bought with. Rights are checked again when the ticket is redeemed.
  public var identity: Identity
  /// What was granted: `subscriptions` is not `nil`.
  public var request: ConnectRequest
  /// Milliseconds since 1970; not after the token's end.
  public var expiresAtMilliseconds: Int64

  public init(
    use: Use = .webSocket, id: String, identity: Identity, request: ConnectRequest, expiresAtMilliseconds: Int64
  ) {
    self.use = use
    self.id = id
    self.identity = identity
    self.request = request
    self.expiresAtMilliseconds = expiresAtMilliseconds
  }
}

/// Signs and checks tickets with the key that all gateway instances of a state directory share.
///
/// A ticket is `base64url(body · HMAC-SHA256(body))`. The body is in the links' encoding: u8 version, u8 use, i64 expiry,
/// strings id, user, jti, i64 iat, i64 exp, strings connection and device, u8 platform, list of topics each with its
/// position, list of chats.
public struct Tickets: Sendable {
  /// Why a ticket is not good.
  public enum Refusal: Error, Equatable, Sendable {
    case malformed
    case wrongSignature
    case expired

    public var message: String {
      switch self {
      case .malformed, .wrongSignature: "the ticket is not one of ours"
      case .expired: "the ticket has expired: subscribe again for a new one"
      }
    }
    public var callError: CallError { CallError(.unauthenticated, message) }
  }

  private static let version: UInt8 = 2
  private static let idBytes = 16
  private let key: SymmetricKey

  /// `key` has at least 32 bytes.
  public init(key: [UInt8]) {
    precondition(key.count >= 32)
    self.key = SymmetricKey(data: key)
  }

  /// A fresh id for a ticket.
  public static func newID(using random: inout some RandomNumberGenerator) -> String {
    Base64URL.encode((0..<idBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) })
  }

  public func sign(_ ticket: Ticket) -> String {
    var writer = WireWriter()
    writer.integer(Tickets.version)
    writer.integer(ticket.use.rawValue)
    writer.integer(ticket.expiresAtMilliseconds)
    writer.string(ticket.id)
    writer.string(ticket.identity.user)
    writer.string(ticket.identity.tokenID)
    writer.integer(ticket.identity.issuedAtMilliseconds)
    writer.integer(ticket.identity.expiresAtMilliseconds)
    writer.string(ticket.request.connectionID ?? "")
    writer.string(ticket.request.deviceID ?? "")
    writer.integer(ticket.request.platform.rawValue)
    writer.list(ticket.request.subscriptions ?? []) {
      $0.string($1)
      let position = Topic($1).flatMap { ticket.request.positions[$0] }
      $0.boolean(position != nil)
      if let position { $0.position(position) }
    }
    writer.list(ticket.identity.chats) { $0.string($1) }
    let body = writer.bytes
    return Base64URL.encode(body + Array(code(for: body)))
  }

  /// - `now`: milliseconds since 1970.
  public func redeem(
    _ text: UnsafeRawBufferPointer, for use: Ticket.Use = .webSocket, now: Int64
  ) throws(Refusal) -> Ticket {
    guard text.count <= GatewayLimits.ticketURLBytesMax, let bytes = Base64URL.decode(text),
      bytes.count > SHA256.byteCount
    else { throw .malformed }
    let body = bytes.dropLast(SHA256.byteCount)
    guard
      HMAC<SHA256>.isValidAuthenticationCode(
        bytes.suffix(SHA256.byteCount), authenticating: Tickets.purpose + body, using: key)
    else { throw .wrongSignature }
    let ticket = Array(body).withUnsafeBytes { body in
      var reader = WireReader(body)
      return try? Tickets.read(&reader)
    }
    guard let ticket, ticket.use == use else { throw .malformed }
    guard ticket.expiresAtMilliseconds > now else { throw .expired }
    return ticket
  }

  /// As ``redeem(_:for:now:)``, of text.
  public func redeem(_ text: String, for use: Ticket.Use = .webSocket, now: Int64) throws(Refusal) -> Ticket {
    var text = text
    return try text.withUTF8 { bytes in
      Result { () throws(Refusal) in try redeem(UnsafeRawBufferPointer(bytes), for: use, now: now) }
    }.get()
  }

  private static func read(_ reader: inout WireReader) throws(WireError) -> Ticket {
    guard try reader.integer(UInt8.self) == version else { throw .malformed("version") }
    guard let use = Ticket.Use(rawValue: try reader.integer()) else { throw .malformed("use") }
    let expires: Int64 = try reader.integer()
    let id = try reader.string()
    var identity = Identity(
      user: try reader.string(), tokenID: try reader.string(), issuedAtMilliseconds: try reader.integer(),
      expiresAtMilliseconds: try reader.integer())
    let connection = try reader.string()
    let device = try reader.string()
    guard let platform = Platform(rawValue: try reader.integer()) else { throw .malformed("platform") }
    var positions: [Topic: Position] = [:]
    let topics = try reader.list { (r: inout WireReader) throws(WireError) in
      let topic = try r.topic()
      if try r.boolean() { positions[topic] = try r.position() }
      return topic.name
    }
    identity.chats = try reader.list { (r: inout WireReader) throws(WireError) in try r.string() }
    try reader.finish()
    return Ticket(
      use: use, id: id, identity: identity,
      request: ConnectRequest(
        connectionID: connection.isEmpty ? nil : connection, deviceID: device.isEmpty ? nil : device,
        platform: platform, subscriptions: topics, positions: positions),
      expiresAtMilliseconds: expires)
  }

  /// So that a code made with this key for anything else is no ticket.
  private static let purpose = Array("avalo ticket ".utf8)

  private func code(for body: [UInt8]) -> HMAC<SHA256>.MAC {
    HMAC<SHA256>.authenticationCode(for: Tickets.purpose + body, using: key)
  }
}
