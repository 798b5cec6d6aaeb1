/// One value of a configuration, whatever it was written in, with the line it was on.
public struct SettingsNode: Equatable, Sendable {
  public enum Value: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case list([SettingsNode])
    /// In the order of the file; no key twice.
    case section([Entry])
  }

  /// One key of a section.
  public struct Entry: Equatable, Sendable {
    public var key: String
    /// Of the key; a value's own line may be further down.
    public var line: Int?
    public var node: SettingsNode

    public init(key: String, line: Int? = nil, node: SettingsNode) {
      self.key = key
      self.line = line
      self.node = node
    }
  }

  public var value: Value
  /// From 1; `nil` when the value came from no file.
  public var line: Int?

  public init(_ value: Value, line: Int? = nil) {
    self.value = value
    self.line = line
  }

  public static let emptySection = SettingsNode(.section([]))

  /// The value of a section's key; `nil` when this is none or has none such. Setting it keeps the key's place.
  public subscript(key: String) -> SettingsNode? {
    get {
      guard case .section(let entries) = value else { return nil }
      return entries.first { $0.key == key }?.node
    }
    set {
      var entries: [Entry] = []
      if case .section(let present) = value { entries = present }
      let index = entries.firstIndex { $0.key == key }
      switch (index, newValue) {
      case (let index?, let node?): entries[index].node = node
      case (let index?, nil): entries.remove(at: index)
      case (nil, let node?): entries.append(Entry(key: key, line: node.line, node: node))
      case (nil, nil): break
      }
      value = .section(entries)
    }
  }

  /// This section with `other`'s keys over its own, section by section; anything else is replaced as a whole.
  public func merging(_ other: SettingsNode) -> SettingsNode {
    guard case .section = value, case .section(let entries) = other.value else { return other }
    var merged = self
    for entry in entries { merged[entry.key] = self[entry.key]?.merging(entry.node) ?? entry.node }
    return merged
  }

  /// The line of what a problem's path names (`sockets[2].name`), or of the nearest section around it that has one.
  public func line(at path: String) -> Int? {
    guard !path.isEmpty else { return line }
    switch value {
    case .section(let entries):
      // Keys may hold dots: the longest that fits is meant.
      let fitting = entries.filter { entry in
        guard path.hasPrefix(entry.key) else { return false }
        let rest = path.utf8.dropFirst(entry.key.utf8.count).first
        return rest == nil || rest == UInt8(ascii: ".") || rest == UInt8(ascii: "[")
      }
      guard let entry = fitting.max(by: { $0.key.utf8.count < $1.key.utf8.count }) else { return line }
      let rest = path.dropFirst(entry.key.count)
      return entry.node.line(at: String(rest.first == "." ? rest.dropFirst() : rest)) ?? entry.line ?? line
    case .list(let items):
      guard path.first == "[", let close = path.firstIndex(of: "]"),
        let index = Int(path[path.index(after: path.startIndex)..<close]), items.indices.contains(index)
      else { return line }
      let rest = path[path.index(after: close)...]
      return items[index].line(at: String(rest.first == "." ? rest.dropFirst() : rest)) ?? line
    default: return line
    }
  }

  /// What a person would call it: `the number 5`, `the text "x"`, `a list`.
  public var described: String {
    switch value {
    case .null: "nothing"
    case .boolean(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): value.utf8.count <= 80 ? "\"\(value)\"" : "a text of \(value.utf8.count) bytes"
    case .list: "a list"
    case .section: "a section"
    }
  }
}

/// Something wrong in a configuration.
public struct SettingsProblem: Error, Equatable, Sendable, CustomStringConvertible {
  /// `limits.frame_bytes_max`, `sockets[2].name`; empty for the whole.
  public var path: String
  /// What was wrong, and what would be right.
  public var message: String
  public var line: Int?

  public init(path: String, message: String, line: Int? = nil) {
    self.path = path
    self.message = message
    self.line = line
  }
  public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}
