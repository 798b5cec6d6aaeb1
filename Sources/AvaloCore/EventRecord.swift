/// One event as it lies in the log and travels between processes: a fixed head, short strings, the payload's bytes.
///
/// The gateway that accepted the event writes it once; from then on it is moved, never decoded: readers look at the
/// fields they need where they lie. All integers are little-endian. Layout, by byte offset:
///
///     0 u8 type · 1 u8 priority · 2 u8 flags · 3 u8 version (1) · 4 u32 ttl seconds
///     8 i64 timestamp, ms since 1970 (the publisher's) · 16 i64 accepted at the edge, µs since 1970
///     24 i64 expires, ms since 1970 (the scheduler's; 0 until it accepted the event)
///     32 u16 eventId bytes · 34 u16 sourceUserId · 36 u16 chatId · 38 u16 messageId · 40 u32 payload bytes
///     44 eventId, sourceUserId, chatId, messageId, payload: UTF-8, one after the other
///
/// `EventRecord` is a view: it borrows the bytes and is valid only as long as they are.
public struct EventRecord {
  public static let headBytes = 44
  public static let version: UInt8 = 1

  /// Set when the publisher named a TTL of its own, so that clients are shown it.
  public static let flagOwnTTL: UInt8 = 1
  /// Set when the payload does not say the chat and the message itself, say because it is encrypted, so that clients are
  /// shown them.
  public static let flagIDsBeside: UInt8 = 2

  public let bytes: UnsafeRawBufferPointer

  /// Checks every length against `bytes`; `nil` when they are not exactly one record.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= EventRecord.headBytes, bytes[3] == EventRecord.version else { return nil }
    self.bytes = bytes
    guard EventType(rawValue: bytes[0]) != nil, Priority(rawValue: bytes[1]) != nil else { return nil }
    let strings = length(32) + length(34) + length(36) + length(38)
    let payload = Int(load(40, as: UInt32.self))
    guard payload > 0, EventRecord.headBytes + strings + payload == bytes.count else { return nil }
  }

  public var type: EventType { EventType(rawValue: bytes[0])! }
  public var priority: Priority { Priority(rawValue: bytes[1])! }
  public var hasOwnTTL: Bool { bytes[2] & EventRecord.flagOwnTTL != 0 }
  public var hasIDsBeside: Bool { bytes[2] & EventRecord.flagIDsBeside != 0 }
  public var ttlSeconds: UInt32 { load(4, as: UInt32.self) }
  public var timestampMilliseconds: Int64 { load(8, as: Int64.self) }
  public var acceptedMicroseconds: Int64 { load(16, as: Int64.self) }
  public var expiresMilliseconds: Int64 { load(24, as: Int64.self) }

  public var eventID: UnsafeRawBufferPointer { slice(EventRecord.headBytes, length(32)) }
  /// Empty when the event has no source.
  public var sourceUserID: UnsafeRawBufferPointer { slice(EventRecord.headBytes + length(32), length(34)) }
  /// Empty when the event belongs to no chat.
  public var chatID: UnsafeRawBufferPointer { slice(EventRecord.headBytes + length(32) + length(34), length(36)) }
  /// Empty when the event is no message.
  public var messageID: UnsafeRawBufferPointer {
    slice(EventRecord.headBytes + length(32) + length(34) + length(36), length(38))
  }
  /// The publisher's JSON object, byte for byte.
  public var payload: UnsafeRawBufferPointer {
    slice(bytes.count - Int(load(40, as: UInt32.self)), Int(load(40, as: UInt32.self)))
  }

  /// Where the scheduler writes the expiry, in milliseconds since 1970, when it accepts the event.
  public static func setExpiry(_ milliseconds: Int64, in record: UnsafeMutableRawBufferPointer) {
    record.storeBytes(of: milliseconds.littleEndian, toByteOffset: 24, as: Int64.self)
  }

  /// Where the scheduler writes the moment an event was released that had been held for later, in microseconds since
  /// 1970: its way begins then.
  public static func setAccepted(_ microseconds: Int64, in record: UnsafeMutableRawBufferPointer) {
    record.storeBytes(of: microseconds.littleEndian, toByteOffset: 16, as: Int64.self)
  }

  private func load<Value: FixedWidthInteger>(_ offset: Int, as: Value.Type) -> Value {
    Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }
  private func length(_ offset: Int) -> Int { Int(load(offset, as: UInt16.self)) }
  private func slice(_ from: Int, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[from..<(from + count)])
  }
}

/// An event on its way into a record: validated, with every default filled in.
public struct EventFields: Sendable, Equatable {
  public var type: EventType
  public var priority: Priority
  public var ttlSeconds: UInt32
  public var hasOwnTTL: Bool
  public var timestampMilliseconds: Int64
  public var acceptedMicroseconds: Int64
  public var eventID: String
  public var sourceUserID: String
  public var chatID: String
  public var messageID: String
  /// Whether the payload says another chat or message, or none.
  public var hasIDsBeside: Bool
  /// A JSON object's text.
  public var payload: [UInt8]

  public init(
    type: EventType, priority: Priority = .normal, ttlSeconds: UInt32? = nil, timestampMilliseconds: Int64,
    acceptedMicroseconds: Int64, eventID: String, sourceUserID: String = "", chatID: String = "",
    messageID: String = "", hasIDsBeside: Bool = false, payload: [UInt8]
  ) {
    self.type = type
    self.priority = priority
    self.ttlSeconds = ttlSeconds ?? type.defaultTTLSeconds
    hasOwnTTL = ttlSeconds != nil
    self.timestampMilliseconds = timestampMilliseconds
    self.acceptedMicroseconds = acceptedMicroseconds
    self.eventID = eventID
    self.sourceUserID = sourceUserID
    self.chatID = chatID
    self.messageID = messageID
    self.hasIDsBeside = hasIDsBeside
    self.payload = payload
  }

  /// The record's bytes, expiry still 0.
  public func record() -> [UInt8] {
    var out = [UInt8]()
    out.reserveCapacity(
      EventRecord.headBytes + eventID.utf8.count + sourceUserID.utf8.count + chatID.utf8.count + messageID.utf8.count
        + payload.count)
    let flags = (hasOwnTTL ? EventRecord.flagOwnTTL : 0) | (hasIDsBeside ? EventRecord.flagIDsBeside : 0)
    out += [type.rawValue, priority.rawValue, flags, EventRecord.version]
    out.appendInteger(ttlSeconds)
    out.appendInteger(timestampMilliseconds)
    out.appendInteger(acceptedMicroseconds)
    out.appendInteger(Int64(0))
    out.appendInteger(UInt16(eventID.utf8.count))
    out.appendInteger(UInt16(sourceUserID.utf8.count))
    out.appendInteger(UInt16(chatID.utf8.count))
    out.appendInteger(UInt16(messageID.utf8.count))
    out.appendInteger(UInt32(payload.count))
    out.append(contentsOf: eventID.utf8)
    out.append(contentsOf: sourceUserID.utf8)
    out.append(contentsOf: chatID.utf8)
    out.append(contentsOf: messageID.utf8)
    out.append(contentsOf: payload)
    return out
  }
}

extension Array where Element == UInt8 {
  /// Appends an integer, little-endian.
  @inlinable public mutating func appendInteger(_ value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}
