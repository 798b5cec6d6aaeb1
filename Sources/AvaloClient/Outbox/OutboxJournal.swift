import AvaloCore

/// A file of entries as text: a line for each that was added, and one for each that was taken away. A line that is not
/// whole, as a torn write leaves it, counts as not there. A pure value.
///
/// A line is `SUM {"add":{…}}` or `SUM {"remove":SEQUENCE}`, where SUM is the FNV-1a of what follows the blank, in sixteen
/// hexadecimal digits.
struct OutboxJournal {
  private(set) var entries = OutboxEntries()
  /// Lines that say nothing any more.
  private(set) var garbage = 0
  /// How much of the file is whole.
  private(set) var wholeBytes = 0

  init(_ file: [UInt8] = []) {
    for line in file.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
      // What follows a torn line was written after a restart, and is whole.
      if !take(line) { garbage += 1 }
    }
    wholeBytes = (file.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
  }

  /// The line to append for it; `nil` when there is no room. One line also where it takes the place of another: a write
  /// that is torn has done all of it or nothing.
  mutating func add(_ entry: OutboxEntry, max: Int) -> [UInt8]? {
    guard let (kept, replaced) = entries.add(entry, max: max) else { return nil }
    if replaced != nil { garbage += 1 }
    return OutboxJournal.line(adding: kept)
  }

  mutating func remove(_ sequence: Int64) -> [UInt8] {
    entries.remove(sequence)
    garbage += 2
    return OutboxJournal.line(removing: sequence)
  }

  /// Whether writing the file anew is worth it.
  var isMostlyGarbage: Bool { garbage > entries.all.count + ClientLimits.outboxGarbageMax }

  /// The whole file, without what says nothing any more.
  mutating func compacted() -> [UInt8] {
    garbage = 0
    return entries.all.flatMap(OutboxJournal.line(adding:))
  }

  // MARK: Lines

  private mutating func take(_ line: ArraySlice<UInt8>) -> Bool {
    guard line.count > 17, line[line.startIndex + 16] == UInt8(ascii: " ") else { return false }
    let text = line[(line.startIndex + 17)...]
    guard String(decoding: line.prefix(16), as: UTF8.self) == OutboxJournal.sum(text),
      let record = try? JSONText(validating: text)
    else { return false }
    return record.read { view in
      if let sequence = view["remove"]?.integer {
        entries.remove(sequence)
        garbage += 2
        return true
      }
      guard let entry = view["add"].flatMap(OutboxEntry.init) else { return false }
      if let key = entry.key, let older = entries.all.first(where: { $0.user == entry.user && $0.key == key }) {
        entries.remove(older.sequence)
        garbage += 1
      }
      entries.restore(entry)
      return true
    }
  }

  private static func line(adding entry: OutboxEntry) -> [UInt8] {
    line(
      JSONText { json in
        json.object { json in
          json.key("add")
          json.object {
            $0.member("sequence", entry.sequence)
            $0.member("user", entry.user)
            $0.member("name", entry.name)
            if let key = entry.key { $0.member("key", key) }
            $0.member("expiresAt", entry.expiresAtMilliseconds)
            // A line break in it, which JSON may have between values, would be the end of ours.
            $0.member("data", entry.data.description)
          }
        }
      })
  }

  private static func line(removing sequence: Int64) -> [UInt8] {
    line(JSONText { json in json.object { $0.member("remove", sequence) } })
  }

  private static func line(_ record: JSONText) -> [UInt8] {
    Array(sum(record.bytes).utf8) + [UInt8(ascii: " ")] + record.bytes + [UInt8(ascii: "\n")]
  }

  private static func sum(_ bytes: some Sequence<UInt8>) -> String {
    let sum = bytes.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    let digits = String(sum, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}

extension OutboxEntry {
  fileprivate init?(_ view: JSONView) {
    // The next one has a number after it.
    guard let sequence = view["sequence"]?.integer, sequence < .max, let user = view["user"]?.string,
      let name = view["name"]?.string,
      let expires = view["expiresAt"]?.integer,
      let data = view["data"]?.string.flatMap({ try? JSONText(validating: $0) })
    else { return nil }
    self.init(
      sequence: sequence, user: user, name: name, data: data, key: view["key"]?.string, expiresAtMilliseconds: expires)
  }
}
