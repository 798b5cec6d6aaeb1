import AvaloCore

// Who is typing where. Never stored, never answered, dropped first when there is too much.

/// A user types in a chat, or has stopped.
public struct SetTyping: WireMessage, Equatable {
  public static let kind = FrameKind.setTyping
  public var user: String
  public var chat: String
  /// The gateway's session that says so; 0 over HTTP.
  public var session: UInt64
  /// The device that says so, which is not told; empty when it is not known: then none of the user's is.
  public var device: String
  public var isTyping: Bool

  public init(user: String, chat: String, session: UInt64, device: String, isTyping: Bool) {
    self.user = user
    self.chat = chat
    self.session = session
    self.device = device
    self.isTyping = isTyping
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.string(chat)
    writer.integer(session)
    writer.string(device)
    writer.boolean(isTyping)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    chat = try reader.identifier()
    session = try reader.integer()
    device = try reader.optionalIdentifier()
    isTyping = try reader.boolean()
  }
}

/// Tell the chat's participants. Sent to every gateway, which ends it alone after `expiresMilliseconds`.
public struct TypingChanged: WireMessage, Equatable {
  public static let kind = FrameKind.typingChanged
  public var user: String
  public var chat: String
  /// See ``SetTyping/device``.
  public var device: String
  public var isTyping: Bool
  /// Counts what is sent.
  public var sequence: UInt64
  /// 0 when it has stopped.
  public var expiresMilliseconds: UInt32

  public init(
    user: String, chat: String, device: String, isTyping: Bool, sequence: UInt64, expiresMilliseconds: UInt32
  ) {
    self.user = user
    self.chat = chat
    self.device = device
    self.isTyping = isTyping
    self.sequence = sequence
    self.expiresMilliseconds = expiresMilliseconds
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.string(chat)
    writer.string(device)
    writer.boolean(isTyping)
    writer.integer(sequence)
    writer.integer(expiresMilliseconds)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    chat = try reader.identifier()
    device = try reader.optionalIdentifier()
    isTyping = try reader.boolean()
    sequence = try reader.integer()
    expiresMilliseconds = try reader.integer()
  }
}

/// The gateway delivered a message of that user in that chat: they are not typing it any more.
public struct TypingEnded: WireMessage, Equatable {
  public static let kind = FrameKind.typingEnded
  public var user: String
  public var chat: String
  /// Of what the gateway ended; what was sent since goes on.
  public var sequence: UInt64
  /// The message did not lie in the chat's own topic: gateways that were not delivered it are to be told.
  public var isForOthers: Bool

  public init(user: String, chat: String, sequence: UInt64, isForOthers: Bool) {
    self.user = user
    self.chat = chat
    self.sequence = sequence
    self.isForOthers = isForOthers
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(user)
    writer.string(chat)
    writer.integer(sequence)
    writer.boolean(isForOthers)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    user = try reader.identifier()
    chat = try reader.identifier()
    sequence = try reader.integer()
    isForOthers = try reader.boolean()
  }
}
