import Glibc

/// Short texts that are kept together and seldom looked at, one behind the other in one block of memory: a string each
/// would cost 16 bytes in place and, from 16 bytes of text on, a block of its own with 32 bytes of header.
struct PackedTexts: ~Copyable {
  /// A u16 count, then for each text a u16 length and its UTF-8.
  private let memory: UnsafeMutableRawPointer?

  /// None.
  init() { memory = nil }

  /// - Precondition: each text has fewer than 64 KiB, and there are as few of them.
  init(_ texts: [String]) {
    let bytes = texts.reduce(2) { $0 + 2 + $1.utf8.count }
    guard let memory = malloc(bytes) else { preconditionFailure("out of memory for \(bytes) bytes of texts") }
    self.memory = memory
    precondition(texts.count <= UInt16.max, "\(texts.count) texts")
    memory.storeBytes(of: UInt16(texts.count), as: UInt16.self)
    var at = 2
    for var text in texts {
      text.withUTF8 { bytes in
        precondition(bytes.count <= UInt16.max, "a text of \(bytes.count) bytes")
        memory.storeBytes(of: UInt16(bytes.count), toByteOffset: at, as: UInt16.self)
        if let start = bytes.baseAddress { memcpy(memory + at + 2, start, bytes.count) }
        at += 2 + bytes.count
      }
    }
  }

  deinit { free(memory) }

  var isEmpty: Bool { memory == nil }
  var count: Int { memory.map { Int($0.loadUnaligned(as: UInt16.self)) } ?? 0 }

  /// The UTF-8 of a text, empty when there is none at that place; valid as long as this.
  func utf8(_ index: Int) -> UnsafeRawBufferPointer {
    guard let memory, index < count else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    func length(_ at: Int) -> Int { Int(memory.loadUnaligned(fromByteOffset: at, as: UInt16.self)) }
    var at = 2
    for _ in 0..<index { at += 2 + length(at) }
    return UnsafeRawBufferPointer(start: memory + at + 2, count: length(at))
  }

  subscript(index: Int) -> String { String(decoding: utf8(index), as: UTF8.self) }
}
