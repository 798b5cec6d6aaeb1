/// Reads typed values out of a section and collects everything that is wrong, so that all of it is told at once.
///
/// A read of a wrong or missing value notes the problem and answers its default (or an empty value): the result is only
/// to be used when there were no problems. A key nobody asked for is a problem too.
///
///     let (settings, problems) = SettingsReader.read(node) { reader in
///       GatewaySettings(
///         pingInterval: reader.duration("ping_interval", in: .seconds(1)...(.seconds(300)), default: .seconds(25)),
///         frameBytesMax: reader.bytes("frame_bytes_max", in: 1024...(1 << 20), default: 64 << 10),
///         cors: reader.section("cors") { CORSSettings(origins: $0.strings("origins")) })
///     }
public struct SettingsReader {
  private let entries: [SettingsNode.Entry]
  private let line: Int?
  private let prefix: String
  /// Relative paths start here.
  private let folder: String?
  private var asked: [String] = []
  public private(set) var problems: [SettingsProblem] = []

  /// Reads all of `node`, which must be a section (or nothing, which is an empty one).
  /// - `folder`: what relative ``path(_:default:)``s are relative to.
  public static func read<Result>(
    _ node: SettingsNode, path: String = "", folder: String? = nil, _ body: (inout SettingsReader) -> Result
  ) -> (result: Result, problems: [SettingsProblem]) {
    var reader = SettingsReader(node, prefix: path, folder: folder)
    let result = body(&reader)
    reader.finish()
    return (result, reader.problems)
  }

  // MARK: Values

  public mutating func string(_ key: String, default fallback: String? = nil) -> String {
    value(key, "text", fallback, empty: "") {
      guard case .string(let text) = $0.value else { return nil }
      return text
    }
  }
  /// A file of the worker's own: within the state folder, or by its whole path.
  public mutating func stateFile(_ key: String, default fallback: String) -> String {
    value(key, "a file's name within the state folder, or its whole path, and no \"..\" in it", fallback, empty: "") {
      guard case .string(let text) = $0.value, !text.isEmpty, !text.hasSuffix("/"),
        !text.split(separator: "/").contains("..")
      else { return nil }
      return text
    }
  }
  /// `nil` when the key is absent.
  public mutating func optionalString(_ key: String) -> String? { has(key) ? string(key) : nil }

  /// One of the names.
  public mutating func choice<Value>(_ key: String, of names: KeyValuePairs<String, Value>, default fallback: Value)
    -> Value
  {
    let expected = "one of " + names.map(\.key).joined(separator: ", ")
    return value(key, expected, fallback, empty: fallback) {
      guard case .string(let text) = $0.value else { return nil }
      return names.first { $0.key == text }?.value
    }
  }

  public mutating func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) -> Int {
    value(key, "an integer of \(range.lowerBound) to \(range.upperBound)", fallback, empty: range.lowerBound) {
      guard case .integer(let number) = $0.value, let number = Int(exactly: number), range.contains(number) else {
        return nil
      }
      return number
    }
  }

  public mutating func number(_ key: String, in range: ClosedRange<Double>, default fallback: Double? = nil) -> Double {
    value(key, "a number of \(range.lowerBound) to \(range.upperBound)", fallback, empty: range.lowerBound) {
      switch $0.value {
      case .integer(let number) where range.contains(Double(number)): Double(number)
      case .number(let number) where range.contains(number): number
      default: nil
      }
    }
  }

  public mutating func boolean(_ key: String, default fallback: Bool? = nil) -> Bool {
    value(key, "true or false", fallback, empty: false) {
      guard case .boolean(let value) = $0.value else { return nil }
      return value
    }
  }

  /// A number with its unit: `250ms`, `10s`, `5m`, `2h`, `7d`, or several, `1h30m`.
  public mutating func duration(
    _ key: String, in range: ClosedRange<Duration>, default fallback: Duration? = nil
  ) -> Duration {
    let expected =
      "a duration of \(SettingsText.duration(range.lowerBound)) to \(SettingsText.duration(range.upperBound)), such as "
      + "\"250ms\", \"10s\", \"5m\" or \"2h\""
    return value(key, expected, fallback, empty: range.lowerBound) {
      guard case .string(let text) = $0.value, let duration = SettingsText.duration(text), range.contains(duration)
      else { return nil }
      return duration
    }
  }

  /// A number of bytes, alone or with a unit: `512`, `64KiB`, `1MiB`, `2GiB`.
  public mutating func bytes(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) -> Int {
    let expected =
      "a size of \(SettingsText.bytes(range.lowerBound)) to \(SettingsText.bytes(range.upperBound)), such as 512, "
      + "\"64KiB\" or \"1MiB\""
    return value(key, expected, fallback, empty: range.lowerBound) {
      let bytes: Int? =
        switch $0.value {
        case .integer(let number): Int(exactly: number)
        case .string(let text): SettingsText.bytes(text)
        default: nil
        }
      guard let bytes, range.contains(bytes) else { return nil }
      return bytes
    }
  }

  /// A file or folder; a relative one is relative to the configuration.
  public mutating func path(_ key: String, default fallback: String? = nil) -> String {
    absolute(string(key, default: fallback))
  }
  public mutating func optionalPath(_ key: String) -> String? { has(key) ? path(key) : nil }

  public mutating func strings(_ key: String, default fallback: [String] = []) -> [String] {
    list(key, "text", default: fallback) {
      guard case .string(let text) = $0.value else { return nil }
      return text
    }
  }

  // MARK: Structure

  public func has(_ key: String) -> Bool { entries.contains { $0.key == key && $0.node.value != .null } }
  /// The keys that are there, in the order of the file: for a section whose keys are data.
  public var keys: [String] { entries.map(\.key) }

  /// The value as it was written; `nil` when the key is absent.
  public mutating func node(_ key: String) -> SettingsNode? {
    asked.append(key)
    return entries.first { $0.key == key }?.node
  }

  /// A section within this one; an absent one is read as empty.
  public mutating func section<Result>(_ key: String, _ body: (inout SettingsReader) -> Result) -> Result {
    read(node(key) ?? SettingsNode(.null, line: line), at: key, body)
  }
  /// `nil` when the key is absent.
  public mutating func optionalSection<Result>(_ key: String, _ body: (inout SettingsReader) -> Result) -> Result? {
    has(key) ? section(key, body) : nil
  }
  /// A list of sections.
  public mutating func sections<Result>(_ key: String, _ body: (inout SettingsReader) -> Result) -> [Result] {
    guard let node = node(key), node.value != .null else { return [] }
    guard case .list(let items) = node.value else {
      note(key, "expected a list of sections, not \(node.described)", line: node.line)
      return []
    }
    return items.enumerated().map { read($1, at: "\(key)[\($0)]", body) }
  }
  /// A section whose keys are names that the user chose.
  public mutating func table<Result>(
    _ key: String, _ body: (String, inout SettingsReader) -> Result
  ) -> [(name: String, value: Result)] {
    section(key) { reader in
      reader.keys.map { name in (name, reader.section(name) { body(name, &$0) }) }
    }
  }
  /// A list whose every item `parse` accepts.
  public mutating func list<Item>(
    _ key: String, _ expected: String, default fallback: [Item] = [], _ parse: (SettingsNode) -> Item?
  ) -> [Item] {
    guard let node = node(key), node.value != .null else { return fallback }
    guard case .list(let items) = node.value else {
      note(key, "expected a list, not \(node.described)", line: node.line)
      return fallback
    }
    return items.enumerated().compactMap { index, item in
      if let parsed = parse(item) { return parsed }
      note("\(key)[\(index)]", "expected \(expected), not \(item.described)", line: item.line)
      return nil
    }
  }

  /// Any value with a shape of its own: `parse` answers `nil` for one that is not `expected`. Without a default an
  /// absent value is a problem, and `empty` is answered.
  public mutating func value<Value>(
    _ key: String, _ expected: String, _ fallback: Value?, empty: Value, _ parse: (SettingsNode) -> Value?
  ) -> Value {
    guard let node = node(key), node.value != .null else {
      if let fallback { return fallback }
      note(key, "is missing; expected \(expected)", line: line)
      return empty
    }
    if let value = parse(node) { return value }
    note(key, "expected \(expected), not \(node.described)", line: node.line)
    return fallback ?? empty
  }

  /// Notes a problem that the types alone do not show. An empty key means the section itself.
  public mutating func problem(_ key: String, _ message: String) {
    note(key, message, line: entries.first { $0.key == key }.map { $0.node.line ?? $0.line } ?? line)
  }

  // MARK: Inside

  private init(_ node: SettingsNode, prefix: String, folder: String?) {
    line = node.line
    self.prefix = prefix
    self.folder = folder
    switch node.value {
    case .section(let entries): self.entries = entries
    case .null: entries = []
    default:
      entries = []
      note("", "expected a section, not \(node.described)", line: node.line)
    }
  }

  private mutating func read<Result>(
    _ node: SettingsNode, at key: String, _ body: (inout SettingsReader) -> Result
  ) -> Result {
    var reader = SettingsReader(node, prefix: joined(key), folder: folder)
    let result = body(&reader)
    reader.finish()
    problems += reader.problems.prefix(SystemLimits.settingsProblemsMax - problems.count)
    return result
  }

  private mutating func finish() {
    for entry in entries where !asked.contains(entry.key) {
      let nearest = EditDistance.nearest(to: entry.key, among: asked)
      note(
        entry.key, "unknown key" + (nearest.map { "; did you mean \"\($0)\"?" } ?? ""),
        line: entry.line ?? entry.node.line)
    }
  }

  private mutating func note(_ key: String, _ message: String, line: Int?) {
    guard problems.count < SystemLimits.settingsProblemsMax else { return }
    problems.append(SettingsProblem(path: key.isEmpty ? prefix : joined(key), message: message, line: line))
  }

  private func joined(_ key: String) -> String { prefix.isEmpty ? key : "\(prefix).\(key)" }

  private func absolute(_ path: String) -> String {
    guard let folder, !path.isEmpty, !path.hasPrefix("/") else { return path }
    return folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
  }
}
