extension JSONView {
  /// The member of that name; `nil` when there is none or the value is no object.
  public subscript(_ key: StaticString) -> JSONView? {
    for (name, value) in members where name.matches(key) { return value }
    return nil
  }

  /// Calls `body` with each member's key (a string) and value, in the text's order. Of a value that is no object: never.
  @inlinable public func forEachMember<Failure: Error>(
    _ body: (_ key: JSONView, _ value: JSONView) throws(Failure) -> Void
  ) throws(Failure) {
    for (key, value) in members { try body(key, value) }
  }

  /// Calls `body` with each element, in order. Of a value that is no array: never.
  @inlinable public func forEachElement<Failure: Error>(
    _ body: (_ element: JSONView) throws(Failure) -> Void
  ) throws(Failure) {
    for element in elements { try body(element) }
  }

  /// An object's members in order, for `for (key, value) in`; empty of anything else.
  public var members: Members { Members(self) }
  /// An array's elements in order; empty of anything else.
  public var elements: Elements { Elements(self) }

  /// Members of an object or elements of an array, found by walking it; 0 of anything else.
  public var count: Int {
    switch kind {
    case .object: members.reduce(0) { count, _ in count + 1 }
    case .array: elements.reduce(0) { count, _ in count + 1 }
    default: 0
    }
  }

  public struct Members: Sequence, IteratorProtocol {
    private var walk: JSONWalk

    init(_ view: JSONView) {
      walk = JSONWalk(view.kind == .object ? view.raw : UnsafeRawBufferPointer(start: nil, count: 0))
    }

    public mutating func next() -> (key: JSONView, value: JSONView)? {
      guard walk.hasMore() else { return nil }
      let key = walk.value()
      walk.colon()
      return (key, walk.value())
    }
  }

  public struct Elements: Sequence, IteratorProtocol {
    private var walk: JSONWalk

    init(_ view: JSONView) {
      walk = JSONWalk(view.kind == .array ? view.raw : UnsafeRawBufferPointer(start: nil, count: 0))
    }

    public mutating func next() -> JSONView? { walk.hasMore() ? walk.value() : nil }
  }
}

/// Goes over the inside of one container of a checked text.
struct JSONWalk {
  private let bytes: UnsafePointer<UInt8>?
  private let end: Int
  private var at: Int

  /// `container` with its brackets, or nothing, which has no members.
  init(_ container: UnsafeRawBufferPointer) {
    bytes = container.baseAddress?.assumingMemoryBound(to: UInt8.self)
    // The closing bracket is not part of the walk.
    end = container.count - 1
    at = 1
  }

  /// Goes to the next member or element, past a comma.
  mutating func hasMore() -> Bool {
    guard let bytes else { return false }
    while at < end, JSONBytes.isWhitespace(bytes[at]) || bytes[at] == UInt8(ascii: ",") { at += 1 }
    return at < end
  }

  mutating func colon() {
    while JSONBytes.isWhitespace(bytes![at]) { at += 1 }
    at += 1
    while JSONBytes.isWhitespace(bytes![at]) { at += 1 }
  }

  /// The value that begins here; goes behind it.
  mutating func value() -> JSONView {
    let bytes = bytes!
    let start = at
    switch bytes[at] {
    case JSONBytes.quote:
      skipString(bytes)
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      var depth = 0
      repeat {
        switch bytes[at] {
        case JSONBytes.quote:
          skipString(bytes)
          continue
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
        at += 1
      } while depth > 0
    default:
      // Numbers and words end where the container goes on or ends.
      while at < end, bytes[at] != UInt8(ascii: ","), !JSONBytes.isWhitespace(bytes[at]) { at += 1 }
    }
    return JSONView(checked: UnsafeRawBufferPointer(start: bytes + start, count: at - start))
  }

  private mutating func skipString(_ bytes: UnsafePointer<UInt8>) {
    at += 1
    while true {
      while at + 8 <= end {
        let stops = JSONBytes.ends(JSONBytes.word(bytes + at))
        if stops == 0 {
          at += 8
        } else {
          at += stops.trailingZeroBitCount >> 3
          break
        }
      }
      switch bytes[at] {
      case JSONBytes.quote:
        at += 1
        return
      case JSONBytes.backslash: at += 2
      default: at += 1
      }
    }
  }
}
