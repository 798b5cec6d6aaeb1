import AvaloCore
import AvaloStore
import Foundation
import Testing

@testable import AvaloStoreSQLite

/// The engines that must keep the contract.
enum Engine: String, CaseIterable, CustomTestStringConvertible {
  case memory, sqlite
  var testDescription: String { rawValue }
}

/// A folder of its own, gone with the test.
final class Folder {
  let path: String
  init() {
    path = NSTemporaryDirectory() + "avalo-store-\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
  var file: String { path + "/events.sqlite" }
}

/// A log under test, and short words for what is done to it.
final class LogBench {
  static let start: Int64 = 1_700_000_000_000
  let folder = Folder()
  let log: any EventLog

  /// Merges after a handful of rows, so that small tests see all the places a row can be.
  init(_ engine: Engine, mergeRows: Int = 8) throws {
    switch engine {
    case .memory: log = MemoryEventLog(nowMilliseconds: LogBench.start)
    case .sqlite:
      log = try SQLiteEventLog(
        LogFile(path: folder.file, durability: .os, bootID: "boot"), nowMilliseconds: LogBench.start,
        generator: SystemRandomNumberGenerator(), mergeRows: mergeRows, lockMilliseconds: 0)
    }
  }

  @discardableResult func transaction<Value>(_ body: () throws -> Value) throws -> Value {
    try log.begin()
    do {
      let value = try body()
      try log.commit()
      return value
    } catch {
      log.rollback()
      throw error
    }
  }

  func topic(_ name: String) throws -> TopicID {
    if let topic = try log.topic(named: name) { return topic.id }
    return try log.createTopic(named: name)
  }

  /// Appends to the topic's end.
  @discardableResult func append(
    _ name: String, _ record: [UInt8] = record(), expires: Int64 = LogBench.start + 60_000, key: StoredKey? = nil
  ) throws -> UInt64 {
    let id = try topic(name)
    let offset = (try log.topic(named: name)?.head ?? 0) + 1
    try log.append(topic: id, offset: offset, expires: expires, record: record, key: key)
    return offset
  }

  func page(
    _ name: String, after: UInt64 = 0, upTo: UInt64 = .max, bytes: Int = 1 << 20, now: Int64 = LogBench.start
  ) throws -> ReadPage {
    let request = ReadRequest(
      topic: name, epoch: log.identity.epoch(of: name), after: after, upTo: upTo, bytesMax: bytes, nowMilliseconds: now)
    guard case .page(let page) = try log.reader().read(request) else { throw LogError.unavailable("another epoch") }
    return page
  }

  /// Lets the engine do all it has to do.
  func settle(before: Int64 = LogBench.start) throws {
    for round in 0..<10_000 {
      // What is done once a second is done again as well when the clock has gone back.
      if try !log.maintain(rows: 4, before: before - Int64(round & 1)), round > 20 { return }
    }
  }
}

/// Distinguishable by its payload.
func record(_ payload: String = "{}", type: EventType = .notification, id: String = "e") -> [UInt8] {
  EventFields(
    type: type, timestampMilliseconds: LogBench.start, acceptedMicroseconds: LogBench.start * 1000, eventID: id,
    payload: Array(payload.utf8)
  ).record()
}

func key(_ hash: UInt64, content: UInt64 = 1, offset: UInt64 = 1, until: Int64 = LogBench.start + 60_000) -> StoredKey {
  StoredKey(hash: hash, content: content, offset: offset, accepted: LogBench.start, until: until)
}
