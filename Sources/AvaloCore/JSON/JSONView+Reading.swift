// Short words for what answers are made of, for tools that read them.
extension JSONView {
  package func text(_ key: StaticString, or fallback: String = "-") -> String { self[key]?.string ?? fallback }
  package func number(_ key: StaticString) -> Int64? { self[key]?.integer }
  package func digits(_ key: StaticString) -> String { number(key).map { "\($0)" } ?? "-" }
  package func list(_ key: StaticString) -> [JSONView] { self[key].map { Array($0.elements) } ?? [] }
  package func texts(_ key: StaticString) -> [String] { list(key).compactMap(\.string) }
}
