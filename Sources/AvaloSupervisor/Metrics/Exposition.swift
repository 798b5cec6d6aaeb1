import AvaloSystem

/// A page of metrics in Prometheus' text format, version 0.0.4: families in order, each with its samples as they were
/// written. Pure.
///
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats/
struct Exposition: Equatable, Sendable {
  struct Family: Equatable, Sendable {
    var name: String
    /// `counter`, `gauge`, `histogram`, `summary`, `untyped`.
    var type: String
    /// As escaped in the page.
    var help: String
    var samples: [Sample] = []
  }

  struct Sample: Equatable, Sendable {
    /// With its family's suffix, such as `_bucket`.
    var name: String
    /// Without braces, as written: `le="0.5",transport="ws"`.
    var labels: String
    /// The value, and perhaps a time, as written.
    var value: String
  }

  private(set) var families: [Family] = []
  private var places: [String: Int] = [:]

  init() {}

  // MARK: Reading

  /// Reads a page; throws at the first line that is none.
  init(_ page: [UInt8]) throws(ExpositionError) {
    for (number, line) in page.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      guard let text = String(validating: line, as: UTF8.self) else { throw ExpositionError(line: number + 1) }
      do {
        try read(text[...])
      } catch {
        throw ExpositionError(line: number + 1)
      }
    }
  }

  private struct Malformed: Error {}
  private var current: String?

  private mutating func read(_ line: Substring) throws(Malformed) {
    let line = line.drop { $0 == " " || $0 == "\t" }
    if line.isEmpty { return }
    if line.first == "#" {
      let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: true)
      guard parts.count >= 3, parts[0] == "#" else { return }
      let text = parts.count == 4 ? String(parts[3]) : ""
      switch parts[1] {
      case "HELP": families[family(String(parts[2]))].help = text
      case "TYPE": families[family(String(parts[2]))].type = text
      default: return
      }
      current = String(parts[2])
      return
    }
    let sample = try Exposition.sample(line)
    families[family(familyName(of: sample.name))].samples.append(sample)
  }

  private mutating func family(_ name: String) -> Int {
    if let place = places[name] { return place }
    places[name] = families.count
    families.append(Family(name: name, type: "untyped", help: ""))
    return families.count - 1
  }

  /// `x_bucket` belongs to `x` if that is a histogram.
  private func familyName(of sample: String) -> String {
    for suffix in ["_bucket", "_sum", "_count"] where sample.hasSuffix(suffix) {
      let name = String(sample.dropLast(suffix.count))
      guard let place = places[name], ["histogram", "summary"].contains(families[place].type) else { continue }
      return name
    }
    return sample
  }

  private static func sample(_ line: Substring) throws(Malformed) -> Sample {
    let bytes = line.utf8
    let nameEnd = bytes.firstIndex { !isOfName($0) } ?? bytes.endIndex
    let name = line[..<nameEnd]
    guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { throw Malformed() }
    var rest = line[nameEnd...]
    var labels = ""
    if rest.utf8.first == UInt8(ascii: "{") {
      let end = try Exposition.labelsEnd(rest)
      labels = String(rest[rest.utf8.index(after: rest.startIndex)..<end])
      if labels.hasSuffix(",") { labels.removeLast() }
      rest = rest[rest.utf8.index(after: end)...]
    }
    let value = rest.drop { $0 == " " || $0 == "\t" }
    let words = value.split { $0 == " " || $0 == "\t" }
    guard (1...2).contains(words.count), Exposition.number(words[0]) != nil,
      words.count == 1 || Int64(words[1]) != nil
    else { throw Malformed() }
    return Sample(name: String(name), labels: labels, value: words.joined(separator: " "))
  }

  /// Of `{…}`, the closing brace: one that is not within quotes.
  private static func labelsEnd(_ text: Substring) throws(Malformed) -> Substring.Index {
    var isQuoted = false
    var isEscaped = false
    for index in text.utf8.indices {
      let byte = text.utf8[index]
      if isEscaped {
        isEscaped = false
      } else if isQuoted, byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isQuoted.toggle()
      } else if !isQuoted, byte == UInt8(ascii: "}") {
        return index
      }
    }
    throw Malformed()
  }

  private static func isOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: ":"): true
    default: false
    }
  }

  static func number(_ text: Substring) -> Double? {
    switch text {
    case "+Inf", "Inf": .infinity
    case "-Inf": -.infinity
    case "NaN": .nan
    default: Double(text)
    }
  }

  /// All samples of a series, added up; `nil` when there is none.
  func sum(of series: String) -> Double? {
    let samples = families.lazy.flatMap(\.samples).filter { $0.name == series }
    var sum: Double?
    for sample in samples {
      let value = Exposition.number(sample.value.prefix { $0 != " " && $0 != "\t" }) ?? 0
      sum = (sum ?? 0) + value
    }
    return sum
  }

  // MARK: Making

  /// Declares a family; its samples follow by ``add(_:_:_:)``.
  mutating func declare(_ name: String, _ type: String, _ help: String) {
    let place = family(name)
    families[place].type = type
    families[place].help = help
  }

  mutating func add(_ name: String, _ labels: KeyValuePairs<String, String>, _ value: Double) {
    families[family(name)].samples.append(
      Sample(name: name, labels: Exposition.labels(labels), value: Exposition.text(value)))
  }

  /// Adds another page's samples, with labels of our own before theirs. A label of theirs by the same name becomes
  /// `exported_…`, as Prometheus does it. Families that come with another type than before are left out, and named.
  mutating func merge(_ other: Exposition, labels: KeyValuePairs<String, String>) -> [String] {
    let own = Exposition.labels(labels)
    let names = labels.map(\.key)
    var refused: [String] = []
    for theirs in other.families where !theirs.samples.isEmpty {
      if let place = places[theirs.name], families[place].type != theirs.type {
        refused.append(theirs.name)
        continue
      }
      let place = family(theirs.name)
      if families[place].samples.isEmpty {
        families[place].type = theirs.type
        families[place].help = theirs.help
      }
      for sample in theirs.samples {
        let renamed = Exposition.renaming(names, in: sample.labels)
        families[place].samples.append(
          Sample(name: sample.name, labels: renamed.isEmpty ? own : "\(own),\(renamed)", value: sample.value))
      }
    }
    return refused
  }

  private static func renaming(_ names: [String], in labels: String) -> String {
    guard names.contains(where: { labels.contains($0 + "=") }) else { return labels }
    var result = ""
    var rest = labels[...]
    while !rest.isEmpty {
      let name = rest.prefix { $0 != "=" }
      let trimmed = name.drop { $0 == "," || $0 == " " }
      let separator = name.dropLast(trimmed.count)
      result += separator + (names.contains(String(trimmed)) ? "exported_" : "") + trimmed
      rest = rest.dropFirst(name.count)
      // The value, with its quotes, as it is.
      var quotes = 0
      var isEscaped = false
      let value = rest.prefix { character in
        if quotes == 2 { return false }
        if isEscaped {
          isEscaped = false
        } else if character == "\\" {
          isEscaped = true
        } else if character == "\"" {
          quotes += 1
        }
        return true
      }
      result += value
      rest = rest.dropFirst(value.count)
    }
    return result
  }

  private static func labels(_ labels: KeyValuePairs<String, String>) -> String {
    labels.map { name, value in
      var escaped = ""
      for character in value {
        switch character {
        case "\\": escaped += "\\\\"
        case "\"": escaped += "\\\""
        case "\n": escaped += "\\n"
        default: escaped.append(character)
        }
      }
      return "\(name)=\"\(escaped)\""
    }.joined(separator: ",")
  }

  private static func text(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
    return "\(value)"
  }

  // MARK: Writing

  /// The page: HELP and TYPE once, then the samples, family by family.
  func page() -> [UInt8] {
    var page: [UInt8] = []
    for family in families where !family.samples.isEmpty {
      if !family.help.isEmpty { page += "# HELP \(family.name) \(family.help)\n".utf8 }
      page += "# TYPE \(family.name) \(family.type)\n".utf8
      for sample in family.samples {
        page += sample.name.utf8
        if !sample.labels.isEmpty {
          page.append(UInt8(ascii: "{"))
          page += sample.labels.utf8
          page.append(UInt8(ascii: "}"))
        }
        page.append(UInt8(ascii: " "))
        page += sample.value.utf8
        page.append(UInt8(ascii: "\n"))
      }
    }
    return page
  }
}

/// A page that is not in the format.
struct ExpositionError: Error, Equatable, Sendable, CustomStringConvertible {
  var line: Int
  var description: String { "line \(line) of its metrics is malformed" }
}
