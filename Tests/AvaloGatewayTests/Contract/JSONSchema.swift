import Foundation

/// Judges values by JSON Schema, as far as our contracts use it; a keyword that it does not know is a fault of the
/// contract. It compares what was written down with what the code does, so it is stricter than a client: a value has the members
/// that its schema names, and no other.
struct JSONSchema {
  /// By file name.
  let documents: [String: JSONValue]

  /// A schema, and the document that its references start in.
  struct Place {
    var schema: JSONValue
    var document: String
  }

  /// What is wrong with `value`; empty when nothing is.
  func problems(_ value: JSONValue, _ place: Place, at path: String = "") -> [String] {
    var place = place
    while let reference = place.schema["$ref"]?.text {
      guard let next = resolve(reference, in: place.document) else { return ["\(path): nothing is at \(reference)"] }
      place = next
    }
    switch place.schema {
    case .boolean(true): return []
    case .boolean(false): return ["\(path): must not be there"]
    case .object(let keywords):
      return keywords.sorted { $0.key < $1.key }.flatMap { keyword, rule in
        check(value, keyword, rule, place, path)
      } + unknownMembers(value, place, path)
    default: return ["\(path): the schema is none"]
    }
  }

  func resolve(_ reference: String, in document: String) -> Place? {
    let parts = reference.split(separator: "#", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else { return nil }
    let document = parts[0].isEmpty ? document : parts[0]
    var schema = documents[document]
    for name in parts[1].split(separator: "/") { schema = schema?[String(name)] }
    return schema.map { Place(schema: $0, document: document) }
  }

  // MARK: Keywords

  private func check(
    _ value: JSONValue, _ keyword: String, _ rule: JSONValue, _ place: Place, _ path: String
  ) -> [String] {
    func expect(_ isGood: Bool, _ expected: @autoclosure () -> String) -> [String] {
      isGood ? [] : ["\(path): \(expected()), not \(value)"]
    }
    func inside(_ schema: JSONValue, _ value: JSONValue, _ more: String) -> [String] {
      problems(value, Place(schema: schema, document: place.document), at: path + more)
    }
    func fitting(_ schemas: [JSONValue]) -> Int { schemas.count { inside($0, value, "").isEmpty } }

    switch keyword {
    case "type":
      let types = rule.text.map { [$0] } ?? rule.texts
      let isInteger = value.number.map { $0 == $0.rounded() } ?? false
      return expect(types.contains(value.type) || isInteger && types.contains("integer"), "one of \(types)")
    case "enum": return expect(rule.items.contains(value), "one of \(rule)")
    case "const": return expect(value == rule, "\(rule)")
    case "anyOf": return expect(fitting(rule.items) > 0, "any of \(rule.items.count) schemas")
    case "oneOf": return expect(fitting(rule.items) == 1, "one of \(rule.items.count) schemas")
    case "allOf": return rule.items.flatMap { inside($0, value, "") }
    case "not": return expect(!inside(rule, value, "").isEmpty, "what the schema excludes")
    case "$ref", "description", "format", "summary", "examples", "additionalProperties": return []
    default: break
    }
    switch (value, keyword) {
    case (.number(let number), "minimum"): return expect(number >= rule.number ?? .infinity, "at least \(rule)")
    case (.number(let number), "maximum"): return expect(number <= rule.number ?? -.infinity, "at most \(rule)")
    case (.string(let text), "minLength"):
      return expect(text.unicodeScalars.count >= rule.integer ?? .max, "longer")
    case (.string(let text), "maxLength"):
      return expect(text.unicodeScalars.count <= rule.integer ?? 0, "shorter")
    case (.string(let text), "pattern"):
      return expect(text.range(of: rule.text ?? "", options: .regularExpression) != nil, "like \(rule)")
    case (.array(let items), "items"):
      return items.enumerated().flatMap { inside(rule, $0.element, "[\($0.offset)]") }
    case (.array(let items), "minItems"): return expect(items.count >= rule.integer ?? .max, "more items")
    case (.array(let items), "maxItems"): return expect(items.count <= rule.integer ?? 0, "fewer items")
    case (.object(let members), "required"):
      return rule.texts.filter { members[$0] == nil }.map { "\(path): \($0) is missing" }
    case (.object(let members), "properties"):
      return members.sorted { $0.key < $1.key }.flatMap { key, value in
        rule[key].map { inside($0, value, ".\(key)") } ?? []
      }
    case (.object(let members), "propertyNames"):
      return members.keys.sorted().flatMap { inside(rule, .string($0), ".\($0) (its name)") }
    case (.object(let members), "minProperties"): return expect(members.count >= rule.integer ?? .max, "more members")
    case (.object(let members), "maxProperties"): return expect(members.count <= rule.integer ?? 0, "fewer members")
    case (_, "minimum"), (_, "maximum"), (_, "minLength"), (_, "maxLength"), (_, "pattern"), (_, "items"),
      (_, "minItems"), (_, "maxItems"), (_, "required"), (_, "properties"), (_, "propertyNames"), (_, "minProperties"),
      (_, "maxProperties"):
      return []
    default: return ["\(path): the tests do not know the keyword \(keyword)"]
    }
  }

  /// What stands beside what a schema names. A schema that narrows another says `required` or `properties` without a type
  /// of its own: there it is no list of what there is.
  private func unknownMembers(_ value: JSONValue, _ place: Place, _ path: String) -> [String] {
    guard case .object(let members) = value else { return [] }
    let named = place.schema["properties"]?.keys ?? []
    switch place.schema["additionalProperties"] {
    case .boolean(true): return []
    case .boolean(false), nil:
      guard place.schema["properties"] != nil, place.schema["type"] != nil else { return [] }
      return members.keys.sorted().filter { !named.contains($0) }.map { "\(path): \($0) is not written down" }
    case .some(let schema):
      return members.sorted { $0.key < $1.key }.filter { !named.contains($0.key) }.flatMap { key, value in
        problems(value, Place(schema: schema, document: place.document), at: "\(path).\(key)")
      }
    }
  }
}
