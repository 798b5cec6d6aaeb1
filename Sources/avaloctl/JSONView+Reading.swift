import AvaloClient
import AvaloCore

// Short words for what answers are made of.
extension JSONView {
  func text(_ key: StaticString, or fallback: String = "-") -> String { self[key]?.string ?? fallback }
  func number(_ key: StaticString) -> Int64? { self[key]?.integer }
  func digits(_ key: StaticString) -> String { number(key).map { "\($0)" } ?? "-" }
  func list(_ key: StaticString) -> [JSONView] { self[key].map { Array($0.elements) } ?? [] }
  func texts(_ key: StaticString) -> [String] { list(key).compactMap(\.string) }
}

extension JSONText {
  /// An object of these members.
  static func of(_ members: (inout JSONWriter) -> Void) -> JSONText { JSONText { $0.object { members(&$0) } } }
}
