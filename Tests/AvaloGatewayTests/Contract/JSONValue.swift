import AvaloCore
import Yams

/// A JSON value as a test compares it: of an answer, of a frame, of a contract.
indirect enum JSONValue: Equatable, Sendable {
  case null
  case boolean(Bool)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(json: String) throws {
    self = try Array(json.utf8).withUnsafeBytes { JSONValue(try JSONView(validating: $0)) }
  }

  init(yaml: String) throws { self.init(yaml: try Yams.load(yaml: yaml) ?? ()) }

  private init(_ view: JSONView) {
    switch view.kind {
    case .null: self = .null
    case .boolean: self = .boolean(view.boolean ?? false)
    case .number: self = .number(view.double ?? .nan)
    case .string: self = .string(view.string ?? "")
    case .array: self = .array(view.elements.map { JSONValue($0) })
    case .object:
      self = .object(
        Dictionary(view.members.map { ($0.string ?? "", JSONValue($1)) }, uniquingKeysWith: { first, _ in first }))
    }
  }

  /// What Yams makes of a document; its null is anything else.
  private init(yaml any: Any) {
    switch any {
    case let text as String: self = .string(text)
    case let boolean as Bool: self = .boolean(boolean)
    case let number as Int: self = .number(Double(number))
    case let number as Double: self = .number(number)
    case let list as [Any]: self = .array(list.map { JSONValue(yaml: $0) })
    case let members as [AnyHashable: Any]:
      self = .object(Dictionary(uniqueKeysWithValues: members.map { ("\($0.key)", JSONValue(yaml: $0.value)) }))
    default: self = .null
    }
  }

  subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members[key]
  }

  /// Of the members of members.
  func at(_ path: String...) -> JSONValue? { path.reduce(self) { $0?[$1] } }

  var text: String? { if case .string(let text) = self { text } else { nil } }
  var number: Double? { if case .number(let number) = self { number } else { nil } }
  var integer: Int? { if case .number(let number) = self { Int(exactly: number) } else { nil } }
  var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
  var texts: [String] { items.compactMap(\.text) }
  var keys: [String] { if case .object(let members) = self { members.keys.sorted() } else { [] } }

  /// The name of its type in a schema.
  var type: String {
    switch self {
    case .null: "null"
    case .boolean: "boolean"
    case .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}
