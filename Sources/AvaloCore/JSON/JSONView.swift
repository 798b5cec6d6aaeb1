/// A JSON value where it lies: a view over bytes that were checked whole, once.
///
/// What comes from outside becomes a view by ``init(validating:)``; from then on every read relies on the grammar and
/// checks nothing again. Nothing is decoded before it is asked for and nothing is copied but strings that are asked
/// for as `String`. It borrows its bytes and is valid only as long as they are: take what must live longer out of it.
/// Members are found by walking the object, so read an object with many members by ``forEachMember(_:)``, once.
public struct JSONView {
  public enum Kind: Sendable, Equatable { case object, array, string, number, boolean, null }

  /// The value's text, without whitespace around it; of a string with its quotes. Never empty.
  public let raw: UnsafeRawBufferPointer

  /// Checks the whole text: RFC 8259's grammar, UTF-8, escaped surrogates in pairs, nesting of at most
  /// ``Limits/jsonDepthMax``, and no key twice in an object of the outer two levels.
  public init(validating text: UnsafeRawBufferPointer) throws(JSONError) {
    guard !text.isEmpty else { throw JSONError(offset: 0, message: "the text is empty") }
    let checked = withUnsafeTemporaryAllocation(of: KeyTable.Span.self, capacity: KeyTable.scratchCount) { scratch in
      let bytes = text.assumingMemoryBound(to: UInt8.self)
      var scanner = JSONScanner(bytes, scratch: scratch)
      return scanner.scan() ? Result<Range<Int>, JSONError>.success(scanner.value) : .failure(scanner.failure!)
    }
    raw = UnsafeRawBufferPointer(rebasing: text[try checked.get()])
  }

  /// A text that our own writer put around values that were checked, each on its own: together they may nest deeper than
  /// what comes from outside. Not empty.
  public init(written text: UnsafeRawBufferPointer) {
    precondition(!text.isEmpty)
    raw = text
  }

  /// A value inside a text that was checked.
  init(checked: UnsafeRawBufferPointer) { raw = checked }

  /// What stands for a value that was not given.
  public static var null: JSONView {
    let text: StaticString = "null"
    return JSONView(checked: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  public var kind: Kind {
    switch raw[0] {
    case UInt8(ascii: "{"): .object
    case UInt8(ascii: "["): .array
    case JSONBytes.quote: .string
    case UInt8(ascii: "t"), UInt8(ascii: "f"): .boolean
    case UInt8(ascii: "n"): .null
    default: .number
    }
  }

  public var isNull: Bool { raw[0] == UInt8(ascii: "n") }

  /// `nil` when it is no boolean.
  public var boolean: Bool? {
    switch raw[0] {
    case UInt8(ascii: "t"): true
    case UInt8(ascii: "f"): false
    default: nil
    }
  }
}
