/// A topic's name, `kind:id`, known to be well formed.
///
/// `user:{id}` is a user's inbox, `chat:{id}` a conversation, `feed:{id}` a feed read by many,
/// `presence:{id}` one user's state; further kinds are configuration. Kinds match `[a-z][a-z0-9_]{0,31}`, ids
/// `[A-Za-z0-9_.@-]{1,128}`. `*` and `>` are reserved for patterns and so never part of a name.
public struct Topic: Hashable, Sendable, CustomStringConvertible {
  /// The whole name, `kind:id`.
  public let name: String

  /// Parses a name that came from outside; `nil` when it is not `kind:id`.
  public init?(_ name: String) {
    guard Topic.isWellFormed(name.utf8) else { return nil }
    self.name = name
  }

  /// A user's inbox; `nil` when the id is not a well-formed id.
  public static func inbox(of user: String) -> Topic? { Topic("user:" + user) }

  /// A conversation; `nil` when the id is not a well-formed id.
  public static func chat(_ id: String) -> Topic? { Topic("chat:" + id) }

  public var kind: Substring { name[..<separator] }
  public var id: Substring { name[name.utf8.index(after: separator)...] }
  /// The engine's own to write: nobody publishes there.
  public var isReserved: Bool { name.utf8.starts(with: "sys:".utf8) || name.utf8.starts(with: "presence:".utf8) }
  public var isInbox: Bool { name.utf8.starts(with: "user:".utf8) }
  /// The state of one user: of the presence worker, not of the log.
  public var isPresence: Bool { name.utf8.starts(with: "presence:".utf8) }
  public var description: String { name }

  private var separator: String.Index { name.utf8.firstIndex(of: UInt8(ascii: ":"))! }

  /// Whether `id` may be the id of a topic, a user, a device, a chat or a message.
  public static func isWellFormedID(_ id: some Collection<UInt8>) -> Bool {
    !id.isEmpty && id.count <= Limits.identifierBytesMax && id.allSatisfy(isIdentifierByte)
  }

  private static func isWellFormed(_ name: String.UTF8View) -> Bool {
    guard let colon = name.firstIndex(of: UInt8(ascii: ":")) else { return false }
    let kind = name[..<colon]
    guard let first = kind.first, isLowercase(first), kind.count <= Limits.topicKindBytesMax else { return false }
    guard kind.allSatisfy({ isLowercase($0) || isDigit($0) || $0 == UInt8(ascii: "_") }) else { return false }
    return isWellFormedID(name[name.index(after: colon)...])
  }

  private static func isIdentifierByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "@"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
  private static func isLowercase(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
