import AvaloCore
import Testing

/// Random, random-but-right and slightly wrong texts: the scanner never reads out of bounds (the text's own memory ends
/// where it ends), never takes what it cannot read back, and reads back what was written.
@Suite struct JSONFuzzTests {
  @Test func readsBackEveryTreeItWrites() throws {
    var random = Seeded(state: 1)
    for _ in 0..<600 {
      let tree = random.tree(depth: 0)
      var json = JSONWriter()
      tree.write(to: &json)
      try exact(json.bytes) { text in
        let view = try JSONView(validating: text)
        #expect(Tree(view) == tree)
      }
      // The same with whitespace wherever it may be.
      var spaced = JSONWriter()
      tree.write(to: &spaced)
      try exact(random.spaced(spaced.bytes)) { text in
        let view = try JSONView(validating: text)
        #expect(Tree(view) == tree)
      }
    }
  }

  @Test func survivesMutations() throws {
    var random = Seeded(state: 2)
    var accepted = 0
    for _ in 0..<400 {
      var json = JSONWriter()
      random.tree(depth: 0).write(to: &json)
      for _ in 0..<20 {
        var bytes = json.bytes
        for _ in 0...Int.random(in: 0..<3, using: &random) { random.mutate(&bytes) }
        exact(bytes) { text in
          guard let view = try? JSONView(validating: text) else { return }
          accepted += 1
          #expect(String(validating: text, as: UTF8.self) != nil)
          visit(view)
        }
      }
    }
    #expect(accepted > 100)
  }

  @Test func survivesNoise() {
    var random = Seeded(state: 3)
    let alphabet = Array("{}[]\",:\\u0123456789abcdefDtrue falsenull.eE+-\n\u{1}é".utf8) + [0xFF, 0xC0, 0xED]
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0..<24, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
      exact(bytes) { text in
        if let view = try? JSONView(validating: text) { visit(view) }
      }
    }
  }

  @Test func refusesEveryTrueBeginningOfAContainer() throws {
    let text = Array(#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00é"],"b":{"c":null,"d":true}}"#.utf8)
    for count in 0..<text.count {
      exact(Array(text[..<count])) { #expect((try? JSONView(validating: $0)) == nil) }
    }
  }

  /// Puts the bytes at the end of memory of their own size, so that reading beyond them is seen by a sanitizer.
  private func exact<Result>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: bytes)
    return try body(UnsafeRawBufferPointer(memory))
  }

  /// Reads everything there is in every way.
  private func visit(_ view: JSONView) {
    #expect(view.raw.count > 0)
    _ = (view.string, view.utf8, view.integer, view.double, view.boolean, view.isNull, view.matches("a"))
    var seen = 0
    view.forEachMember { key, value in
      #expect(key.string != nil)
      seen += 1
      visit(value)
    }
    view.forEachElement {
      seen += 1
      visit($0)
    }
    #expect(view.count == seen)
  }
}

/// A value written out in full.
indirect enum Tree: Equatable {
  case object([(String, Tree)])
  case array([Tree])
  case string(String)
  case integer(Int64)
  case boolean(Bool)
  case null

  init(_ view: JSONView) {
    switch view.kind {
    case .object: self = .object(view.members.map { ($0.key.string ?? "?", Tree($0.value)) })
    case .array: self = .array(view.elements.map { Tree($0) })
    case .string: self = .string(view.string ?? "?")
    case .number: self = .integer(view.integer ?? -1)
    case .boolean: self = .boolean(view.boolean ?? false)
    case .null: self = .null
    }
  }

  func write(to json: inout JSONWriter) {
    switch self {
    case .object(let members):
      json.object {
        for (key, value) in members {
          $0.key(key)
          value.write(to: &$0)
        }
      }
    case .array(let elements): json.array { for element in elements { element.write(to: &$0) } }
    case .string(let value): json.string(value)
    case .integer(let value): json.integer(value)
    case .boolean(let value): json.boolean(value)
    case .null: json.null()
    }
  }

  static func == (a: Tree, b: Tree) -> Bool {
    switch (a, b) {
    case (.object(let a), .object(let b)): a.count == b.count && zip(a, b).allSatisfy { $0.0 == $1.0 && $0.1 == $1.1 }
    case (.array(let a), .array(let b)): a == b
    case (.string(let a), .string(let b)): Array(a.utf8) == Array(b.utf8)
    case (.integer(let a), .integer(let b)): a == b
    case (.boolean(let a), .boolean(let b)): a == b
    case (.null, .null): true
    default: false
    }
  }
}

/// SplitMix64.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func text(upTo count: Int) -> String {
    var text = ""
    for _ in 0..<Int.random(in: 0...count, using: &self) {
      let range: ClosedRange<UInt32> = [
        0x00...0x1F, 0x20...0x7E, 0x20...0x7E, 0x22...0x22, 0x5C...0x5C, 0x80...0xD7FF, 0xE000...0x10FFFF,
      ]
      .randomElement(using: &self)!
      text.unicodeScalars.append(Unicode.Scalar(UInt32.random(in: range, using: &self))!)
    }
    return text
  }

  mutating func tree(depth: Int) -> Tree {
    switch Int.random(in: 0..<(depth < 4 ? 8 : 4), using: &self) {
    case 0: return .integer(Int64(bitPattern: next()))
    case 1: return .string(text(upTo: 20))
    case 2: return .boolean(next() & 1 == 0)
    case 3: return .null
    case 4, 5: return .array((0..<Int.random(in: 0..<5, using: &self)).map { _ in tree(depth: depth + 1) })
    default:
      return .object(
        (0..<Int.random(in: 0..<5, using: &self)).map { ("\($0)" + text(upTo: 6), tree(depth: depth + 1)) })
    }
  }

  /// Whitespace around the brackets, commas and colons that are outside of strings.
  mutating func spaced(_ json: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    var inString = false
    var escaped = false
    for byte in json {
      if inString {
        inString = escaped || byte != UInt8(ascii: "\"")
        escaped = !escaped && byte == UInt8(ascii: "\\")
        out.append(byte)
        continue
      }
      inString = byte == UInt8(ascii: "\"")
      let isMark = "{}[],:".utf8.contains(byte)
      if isMark { out += [[], [0x20], [0x0A, 0x09], [0x0D]].randomElement(using: &self)! }
      out.append(byte)
      if isMark { out += [[], [0x20], [0x0A, 0x09], [0x0D]].randomElement(using: &self)! }
    }
    return out
  }

  mutating func mutate(_ bytes: inout [UInt8]) {
    let place = Int.random(in: 0...bytes.count, using: &self)
    switch Int.random(in: 0..<4, using: &self) {
    case 0: bytes.insert(UInt8.random(in: 0...255, using: &self), at: place)
    case 1 where place < bytes.count: bytes.remove(at: place)
    case 2 where place < bytes.count: bytes[place] = "{}[]\",:\\u09de".utf8.randomElement(using: &self)!
    default: bytes.removeSubrange(place..<min(bytes.count, place + 3))
    }
  }
}
