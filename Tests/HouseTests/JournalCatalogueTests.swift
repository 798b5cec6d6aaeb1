import AvaloSystem
import Testing

/// `journalctl -x` explains every line that has a number.
@Suite struct JournalCatalogueTests {
  /// Each entry's head and text, by its number.
  private func entries() throws -> [String: (head: [Substring], text: [Substring])] {
    var entries: [String: (head: [Substring], text: [Substring])] = [:]
    var id: String?
    var isHead = true
    for line in try House.lines("systemd/avalo.catalog") where !line.hasPrefix("#") {
      if let start = line.wholeMatch(of: /-- ([0-9a-f]{32})/) {
        id = String(start.1)
        isHead = true
        #expect(entries.updateValue(([], []), forKey: String(start.1)) == nil, "\(start.1) is there twice")
      } else if let id {
        if line.isEmpty { isHead = false } else if isHead { entries[id]?.head.append(line) }
        if !isHead, !line.isEmpty { entries[id]?.text.append(line) }
      }
    }
    return entries
  }

  @Test func everyNumberHasAnEntryAndEveryEntryANumber() throws {
    let entries = try entries()
    #expect(Set(entries.keys) == Set(MessageID.allCases.map(\.rawValue)))
    for (id, entry) in entries {
      #expect(entry.head.contains { $0.hasPrefix("Subject: ") }, "\(id)")
      #expect(entry.head.contains("Defined-By: Avalo Realtime"), "\(id)")
      #expect(!entry.text.isEmpty, "\(id) says nothing")
      #expect(entry.text.allSatisfy { $0.utf8.count <= 120 }, "\(id) is too wide for a terminal")
    }
  }

  @Test func everyMessageIsLogged() throws {
    let sources = try House.files("Sources", ".swift").filter { !$0.hasSuffix("/MessageID.swift") }
      .map(House.read).joined(separator: "\n")
    for id in MessageID.allCases {
      #expect(sources.contains("\"\(id.message)\""), "nobody logs \"\(id.message)\"")
    }
  }

  /// A field that nobody sets would be a hole in the sentence.
  @Test func everyFieldThatAnEntryNamesIsAFactOfSomeLine() throws {
    let sources = try House.files("Sources", ".swift").map(House.read).joined(separator: "\n")
    for match in try House.read("systemd/avalo.catalog").matches(of: /@AVALO_([A-Z_]+)@/) {
      let key = match.1.lowercased()
      #expect(sources.contains("\"\(key)\":") || sources.contains("[\"\(key)\"]"), "@AVALO_\(match.1)@")
    }
  }
}
