import AvaloCore

/// One JSON value as text, known to be well formed: kept as it came, read where it lies.
public struct JSONText: Sendable, Hashable, CustomStringConvertible {
  /// UTF-8.
  public let bytes: [UInt8]

  /// Checks a text that came from elsewhere.
  public init(validating bytes: some Collection<UInt8>) throws(JSONError) {
    let bytes = Array(bytes)
    // `withUnsafeBytes` throws any error, so the result is carried out of it.
    let checked = bytes.withUnsafeBytes { bytes in
      Result { () throws(JSONError) in _ = try JSONView(validating: bytes) }
    }
    try checked.get()
    self.bytes = bytes
  }

  /// Checks a text that came from elsewhere.
  public init(validating text: String) throws(JSONError) { try self.init(validating: text.utf8) }

  /// What a writer wrote.
  public init(_ write: (inout JSONWriter) -> Void) {
    var json = JSONWriter()
    write(&json)
    bytes = json.bytes
  }

  /// A part of a text that was checked.
  public init(_ view: JSONView) { bytes = Array(view.raw) }

  /// `{}`
  public static let emptyObject = JSONText { $0.raw("{}") }

  public var description: String { String(decoding: bytes, as: UTF8.self) }

  /// Reads the value. The view is valid only inside `body`.
  public func read<Value>(_ body: (JSONView) throws -> Value) rethrows -> Value {
    try bytes.withUnsafeBytes { bytes in
      // Checked when it was made.
      guard let view = try? JSONView(validating: bytes) else { preconditionFailure("a JSON text that is not JSON") }
      return try body(view)
    }
  }
}
