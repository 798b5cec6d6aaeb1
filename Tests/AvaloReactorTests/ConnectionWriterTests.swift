import AvaloTesting
import Testing

@testable import AvaloReactor

@Suite struct ConnectionWriterTests {
  private func makeWriter(connectionsMax: Int = 8) throws -> ConnectionWriter {
    var settings = LoopSettings()
    settings.connectionsMax = connectionsMax
    return try ConnectionWriter(settings: settings)
  }

  private func copy(_ text: String, in writer: ConnectionWriter) -> UnsafeRawBufferPointer {
    let bytes = Array(text.utf8)
    let start = writer.allocate(bytes.count)
    start.copyMemory(from: bytes, byteCount: bytes.count)
    return UnsafeRawBufferPointer(start: start, count: bytes.count)
  }

  private func queued(_ writer: ConnectionWriter, _ connection: ConnectionID, after skipped: Int = 0) -> [String] {
    var pieces: [String] = []
    writer.eachPiece(writer.slots + Int(connection.slot), after: skipped) {
      pieces.append(String(decoding: $0, as: UTF8.self))
    }
    return pieces
  }

  @Test func joinsNeighboursAndListsTheRest() throws {
    let writer = try makeWriter()
    let connection = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    let shared = copy("shared", in: writer)
    writer.queue(connection, copy("a", in: writer))
    writer.queue(connection, copy("b", in: writer))
    #expect(queued(writer, connection) == ["ab"])
    writer.queue(connection, shared)
    #expect(queued(writer, connection) == ["ab", "shared"])
    for _ in 0..<20 { writer.queue(connection, shared) }
    writer.queue(connection, copy("c", in: writer))
    writer.queue(connection, copy("d", in: writer))
    let expected = ["ab"] + [String](repeating: "shared", count: 21) + ["cd"]
    #expect(queued(writer, connection) == expected)
    #expect(writer.backlog(connection) == 2 + 21 * 6 + 2)
    for skipped in 0...writer.backlog(connection) {
      #expect(queued(writer, connection, after: skipped).joined() == String(expected.joined().dropFirst(skipped)))
    }
    writer.endTurn()
    #expect(writer.backlog(connection) == 0)
    #expect(queued(writer, connection) == [])
  }

  @Test func framesText() throws {
    let writer = try makeWriter()
    let connection = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    let start = UnsafeMutableRawPointer.allocate(byteCount: 10, alignment: 1)
    defer { start.deallocate() }
    for (count, header) in [
      (0, [0x81, 0]), (125, [0x81, 125]), (126, [0x81, 126, 0, 126]), (65_535, [0x81, 126, 255, 255]),
      (65_536, [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] as [(Int, [UInt8])] {
      #expect(WebSocketFrame.headerBytes(count) == header.count)
      #expect(WebSocketFrame.writeHeader(.text, count, at: start) == header.count)
      #expect(Array(UnsafeRawBufferPointer(start: start, count: header.count)) == header)
    }
    writer.text(connection, copy("hi", in: writer))
    #expect(queued(writer, connection) == ["\u{FFFD}\u{2}hi"])
  }

  @Test func ignoresConnectionsThatAreGone() throws {
    let writer = try makeWriter()
    let old = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    writer.setTag(old, 7)
    #expect(writer.tag(old) == 7)
    writer.queue(old, copy("x", in: writer))
    writer.vacate(old.slot)
    writer.queue(old, copy("y", in: writer))
    writer.text(old, copy("y", in: writer))
    writer.setTag(old, 9)
    writer.close(old, code: 1000)
    #expect(!writer.isOpen(old))
    #expect(writer.backlog(old) == 0)
    writer.endTurn()
    let new = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    #expect(new.slot == old.slot)
    #expect(new != old)
    #expect(writer.tag(new) == 0)
    writer.queue(old, copy("z", in: writer))
    #expect(writer.backlog(new) == 0)
  }

  @Test func usesASlotAgainOnlyAfterTheTurn() throws {
    let writer = try makeWriter(connectionsMax: 2)
    let first = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    _ = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    #expect(writer.occupy(descriptor: -1, addressLease: 0) == nil)
    writer.vacate(first.slot)
    #expect(writer.connectionCount == 1)
    #expect(writer.occupy(descriptor: -1, addressLease: 0) == nil, "not in the turn in which it was vacated")
    writer.endTurn()
    #expect(writer.occupy(descriptor: -1, addressLease: 0)?.slot == first.slot)
  }

  @Test func queuesNothingBehindAClose() throws {
    let writer = try makeWriter()
    let connection = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    writer.close(connection, code: 4000, reason: "bye")
    writer.queue(connection, copy("late", in: writer))
    writer.close(connection, code: 4001)
    #expect(!writer.isOpen(connection))
    #expect(writer.backlog(connection) == 2 + 2 + 3)
    var bytes: [UInt8] = []
    writer.eachPiece(writer.slots + Int(connection.slot)) { bytes += $0 }
    #expect(bytes == [0x88, 5, 0x0F, 0xA0] + Array("bye".utf8))
  }

  @Test func givesUpOnAConnectionThatATurnOverfills() throws {
    let writer = try makeWriter()
    let connection = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    let megabyte = UnsafeRawBufferPointer(start: writer.allocate(1 << 20), count: 1 << 20)
    for _ in 0..<(Limits.turnBytesMax >> 20) { writer.queue(connection, megabyte) }
    #expect(writer.isOpen(connection))
    writer.queue(connection, megabyte)
    #expect(!writer.isOpen(connection))
  }

  @Test func callsForATurnOncePerTurn() throws {
    var calls = 0
    let writer = try ConnectionWriter(settings: LoopSettings(), whenDirty: { calls += 1 })
    let first = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    let second = try #require(writer.occupy(descriptor: -1, addressLease: 0))
    writer.queue(first, copy("a", in: writer))
    writer.queue(first, copy("b", in: writer))
    writer.queue(second, copy("c", in: writer))
    #expect(calls == 1)
    writer.endTurn()
    writer.queue(second, copy("d", in: writer))
    #expect(calls == 2)
  }
}
