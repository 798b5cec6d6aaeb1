import AvaloCore

@testable import AvaloTrace

extension TraceFacts {
  init(json text: String) throws {
    self = try Array(text.utf8).withUnsafeBytes { TraceFacts(try JSONView(validating: $0)) }
  }

  mutating func add(json text: String) throws {
    try Array(text.utf8).withUnsafeBytes { add(try JSONView(validating: $0)) }
  }
}

/// What a report writes for programs.
func json(_ write: (inout JSONWriter) -> Void) -> String {
  var json = JSONWriter()
  write(&json)
  return String(decoding: json.bytes, as: UTF8.self)
}
