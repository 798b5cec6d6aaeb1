import AvaloCore

/// Reads the values in `data`, and words what is wrong with them: field, what was expected, what was there.
enum CallValue {
  private static let int64 = "type.googleapis.com/google.protobuf.Int64Value"
  private static let uint64 = "type.googleapis.com/google.protobuf.UInt64Value"

  /// A whole number, plain or in the wrapping that Firebase's SDKs give to 64-bit ones.
  static func integer(_ view: JSONView) -> Int64? {
    guard view.kind == .object else { return view.integer }
    guard isWrapping(view) else { return nil }
    return view["value"]?.string.flatMap { Int64($0) }
  }

  /// `{"@type": "…Int64Value", "value": "123"}`, or the same of UInt64Value, with a value that fits, and nothing else.
  static func isWrapping(_ view: JSONView) -> Bool {
    guard let type = view["@type"]?.string, let value = view["value"]?.string, view.count == 2 else { return false }
    return type == int64 ? Int64(value) != nil : type == uint64 && UInt64(value) != nil
  }

  /// The id of a user, device, chat or message.
  static func identifier(_ view: JSONView, _ field: @autoclosure () -> String) throws(CallError) -> String {
    guard let id = view.string, Topic.isWellFormedID(id.utf8) else {
      throw refusal(field(), "1 to \(Limits.identifierBytesMax) of A-Z, a-z, 0-9, _ . @ -", view)
    }
    return id
  }

  /// What an event is known by to its publisher.
  static func eventID(_ view: JSONView) throws(CallError) -> String {
    guard let id = view.string, (1...Limits.eventIDBytesMax).contains(id.utf8.count),
      id.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else {
      throw refusal("eventId", "a text of 1 to \(Limits.eventIDBytesMax) bytes without control characters", view)
    }
    return id
  }

  static func topic(_ view: JSONView) throws(CallError) -> Topic {
    guard let topic = view.string.flatMap(Topic.init) else {
      throw refusal("topic", "a topic such as \"user:u\" or \"chat:c\"", view)
    }
    return topic
  }

  /// Texts that should be topics; whether they are is looked at one by one.
  static func topicNames(_ view: JSONView, _ field: String, max: Int) throws(CallError) -> [String] {
    guard view.kind == .array else { throw refusal(field, "a list of topics", view) }
    var names: [String] = []
    for element in view.elements {
      guard let name = element.string else { throw refusal("\(field)[\(names.count)]", "a topic's name", element) }
      guard names.count < max else { throw .over(.listItems, max: max, "\(field) may name at most \(max) topics") }
      names.append(name)
    }
    return names
  }

  /// User ids, each once, sorted.
  static func users(_ view: JSONView, _ field: String, max: Int) throws(CallError) -> [String] {
    guard view.kind == .array else { throw refusal(field, "a list of user ids", view) }
    var users: [String] = []
    for element in view.elements {
      guard users.count < max else { throw .over(.listItems, max: max, "\(field) may name at most \(max) users") }
      users.append(try identifier(element, "\(field)[\(users.count)]"))
    }
    guard !users.isEmpty else { throw CallError(.invalidArgument, "\(field) is empty") }
    users.sort()
    var unique: [String] = []
    for user in users where unique.last != user { unique.append(user) }
    return unique
  }

  static func integer(
    _ view: JSONView, _ field: String, in range: ClosedRange<Int64>, _ expected: @autoclosure () -> String
  ) throws(CallError) -> Int64 {
    guard let value = integer(view), range.contains(value) else { throw refusal(field, expected(), view) }
    return value
  }

  static func time(_ view: JSONView, _ field: String) throws(CallError) -> Int64 {
    let range = GatewayLimits.timestampRange
    return try integer(
      view, field, in: range, "milliseconds since 1970 (\(range.lowerBound) to \(range.upperBound))")
  }

  // MARK: Words

  /// "ttl must be an integer of 1 to 2592000 seconds, not "1h""
  static func refusal(_ field: String, _ expected: String, _ view: JSONView) -> CallError {
    CallError(.invalidArgument, "\(field) must be \(expected), not \(view.excerpt)")
  }

  static func unknown(_ key: JSONView, among known: String) -> CallError {
    CallError(.invalidArgument, "unknown field \(key.excerpt); there are: \(known)")
  }
}

extension JSONView {
  /// The value itself when it is short, for error messages.
  var excerpt: String {
    if raw.count <= 64 { return String(decoding: raw, as: UTF8.self) }
    switch kind {
    case .object: return "an object of \(raw.count) bytes"
    case .array: return "a list of \(raw.count) bytes"
    case .string: return "a text of \(raw.count - 2) bytes"
    case .number: return "a number of \(raw.count) digits"
    case .boolean, .null: return String(decoding: raw, as: UTF8.self)
    }
  }
}
