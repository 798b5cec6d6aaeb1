import Testing

@testable import AvaloClient

@Suite struct EventStreamParserTests {
  private func read(_ text: String) throws -> [String] { try read([Array(text.utf8)]) }

  private func read(_ parts: [[UInt8]]) throws -> [String] {
    var parser = EventStreamParser()
    return try parts.flatMap { part in try parser.take(part).map { String(decoding: $0, as: UTF8.self) } }
  }

  @Test(arguments: ["\n", "\r\n", "\r"]) func linesEndInThreeWays(end: String) throws {
    let text = ["data: one", "", ": a comment", "data: two", "data: lines", "", ""].joined(separator: end)
    #expect(try read(text) == ["one", "two\nlines"])
  }

  @Test func passesOverWhatIsNoData() throws {
    #expect(try read(": ping\n\nid: user:u=1.2\n\nevent: close\nretry: 5\ndatum: x\nDATA: y\ndata: z\n\n") == ["z"])
  }

  @Test func takesOneSpaceBehindTheColonAwayAndNoMore() throws {
    #expect(try read("data:a\n\ndata: b\n\ndata:  c\n\n") == ["a", "b", " c"])
    #expect(try read("data\n\ndata:\ndata:\n\n") == ["", "\n"])
  }

  @Test func aByteOrderMarkIsNoPartOfTheFirstLine() throws {
    #expect(try read("\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n") == ["a"])
  }

  @Test func whatHasNotEndedIsNoEvent() throws {
    #expect(try read("data: a\n\ndata: b\n") == ["a"])
    #expect(try read("data: a\n\ndata: b") == ["a"])
  }

  @Test(arguments: 0..<200) func isTheSameHoweverItIsCut(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    // Mostly what matters, in an order that nobody would write.
    let pieces = ["data", "data: ", ":", " ", "\n", "\r", "\r\n", "\n\n", "{\"ä\":1}", "id: 7", "\u{FEFF}", "event: x"]
    let text = (0..<60).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
    let bytes = Array(text.utf8)
    let whole = try read([bytes])
    #expect(try read(bytes.map { [$0] }) == whole, "byte by byte")
    var rest = bytes[...]
    var parts: [[UInt8]] = []
    while !rest.isEmpty {
      let part = rest.prefix(Int.random(in: 0...9, using: &random))
      parts.append(Array(part))
      rest = rest.dropFirst(part.count)
    }
    #expect(try read(parts) == whole, "at random")
    #expect(whole == reference(text))
  }

  @Test(arguments: [1, 3, 100]) func aLineIsBoundedHoweverItIsCut(step: Int) throws {
    var parser = EventStreamParser(lineBytesMax: 10, eventBytesMax: 100)
    let fitting = try parser.take("data: 1234\n\n".utf8)
    #expect(fitting.count == 1)
    #expect(throws: FrameError.self) {
      for part in Array("data: 12345\n\n".utf8).chunks(of: step) { _ = try parser.take(part) }
    }
    var another = EventStreamParser(lineBytesMax: 10, eventBytesMax: 100)
    #expect(throws: FrameError.self) {
      for part in Array(": a line without end".utf8).chunks(of: step) { _ = try another.take(part) }
    }
  }

  @Test func anEventOfManyLinesIsBoundedAsWell() throws {
    var parser = EventStreamParser(lineBytesMax: 100, eventBytesMax: 7)
    let fitting = try parser.take("data: abc\ndata: def\n\ndata: x\n".utf8)
    #expect(fitting.count == 1)
    #expect(throws: FrameError.self) { _ = try parser.take("data: abcdef\n".utf8) }
  }

  /// The standard's own words, on a whole text.
  private func reference(_ text: String) -> [String] {
    var scalars = Array(text.unicodeScalars)
    if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
    var lines: [String] = []
    var line = ""
    var index = 0
    while index < scalars.count {
      let scalar = scalars[index]
      index += 1
      guard scalar == "\n" || scalar == "\r" else {
        line.unicodeScalars.append(scalar)
        continue
      }
      if scalar == "\r", index < scalars.count, scalars[index] == "\n" { index += 1 }
      lines.append(line)
      line = ""
    }
    var events: [String] = []
    var data = ""
    for line in lines {
      let colon = line.unicodeScalars.firstIndex(of: ":") ?? line.unicodeScalars.endIndex
      if line.unicodeScalars.isEmpty {
        if !data.isEmpty { events.append(String(data.unicodeScalars.dropLast())) }
        data = ""
      } else if line.unicodeScalars[..<colon].elementsEqual("data".unicodeScalars) {
        var value = line.unicodeScalars[colon...].dropFirst()
        if value.first == " " { value = value.dropFirst() }
        data += String(value) + "\n"
      }
    }
    return events
  }
}

extension [UInt8] {
  fileprivate func chunks(of size: Int) -> [ArraySlice<UInt8>] {
    stride(from: 0, to: count, by: size).map { self[$0..<Swift.min($0 + size, count)] }
  }
}
