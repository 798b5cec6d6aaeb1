import AvaloSystem
import Yams

extension SettingsNode {
  /// Reads one YAML document; an empty one is an empty section. Lines count on from `firstLine`.
  ///
  /// Plain scalars mean what YAML 1.2's core schema says: `yes` and `on` are texts, and so is `0660`, which people mean
  /// as octal digits.
  init(yaml text: String, firstLine: Int = 1) throws(SettingsProblem) {
    let root: Node?
    do {
      root = try Parser(yaml: text).singleRoot()
    } catch let error as YamlError {
      throw error.problem(firstLine: firstLine)
    } catch {
      throw SettingsProblem(path: "", message: "not valid YAML: \(error)", line: firstLine)
    }
    guard let root else {
      self = SettingsNode(.section([]), line: firstLine)
      return
    }
    var converter = YAMLConverter(firstLine: firstLine)
    self = try converter.node(root, depth: 0)
    if value == .null { self = SettingsNode(.section([]), line: firstLine) }
  }

  /// The value of one line, such as an environment variable: a scalar, `[a, b]` or `{a: 1}`.
  init(yamlValue text: String, line: Int) throws(SettingsProblem) {
    let node = try SettingsNode(yaml: "value: \(text)", firstLine: line)
    self = node["value"] ?? SettingsNode(.null, line: line)
    // Whatever lines it had within itself, it came from one place.
    self = self.onLine(line)
  }

  private func onLine(_ line: Int) -> SettingsNode {
    var node = self
    node.line = line
    switch value {
    case .list(let items): node.value = .list(items.map { $0.onLine(line) })
    case .section(let entries):
      node.value = .section(entries.map { Entry(key: $0.key, line: line, node: $0.node.onLine(line)) })
    default: break
    }
    return node
  }
}

/// Yams' tree to ours, bounded: an alias of an alias of an alias grows exponentially.
private struct YAMLConverter {
  let firstLine: Int
  private var values = 0

  init(firstLine: Int) { self.firstLine = firstLine }

  mutating func node(_ node: Node, depth: Int) throws(SettingsProblem) -> SettingsNode {
    let line = node.mark.map { $0.line - 1 + firstLine } ?? firstLine
    values += 1
    guard depth < SystemLimits.settingsDepthMax, values < SupervisorLimits.configurationValuesMax else {
      throw SettingsProblem(path: "", message: "too many values, or values within values", line: line)
    }
    switch node {
    case .scalar(let scalar): return SettingsNode(YAMLConverter.value(of: scalar), line: line)
    case .sequence(let items):
      var list: [SettingsNode] = []
      for item in items { list.append(try self.node(item, depth: depth + 1)) }
      return SettingsNode(.list(list), line: line)
    case .mapping(let pairs):
      var entries: [SettingsNode.Entry] = []
      for (key, value) in pairs {
        guard case .scalar(let name) = key else {
          throw SettingsProblem(path: "", message: "a key must be a word", line: line)
        }
        let keyLine = key.mark.map { $0.line - 1 + firstLine } ?? line
        entries.append(.init(key: name.string, line: keyLine, node: try self.node(value, depth: depth + 1)))
      }
      return SettingsNode(.section(entries), line: line)
    case .alias:
      throw SettingsProblem(path: "", message: "an alias without its anchor", line: line)
    }
  }

  private static func value(of scalar: Node.Scalar) -> SettingsNode.Value {
    let text = scalar.string
    guard scalar.style == .plain || scalar.style == .any else { return .string(text) }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .boolean(true)
    case "false", "False", "FALSE": return .boolean(false)
    default: break
    }
    let unsigned = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
    guard let first = unsigned.utf8.first, (0x30...0x39).contains(first) else { return .string(text) }
    let zeroed = first == 0x30 && unsigned.utf8.count > 1 && !unsigned.dropFirst().hasPrefix(".")
    if !zeroed {
      if let integer = Int64(text) { return .integer(integer) }
      if let number = Double(text), number.isFinite, unsigned.utf8.allSatisfy(isOfNumber) { return .number(number) }
    }
    return .string(text)
  }

  /// What Double(_:) takes but no person means, such as `0x1p3`, stays text.
  private static func isOfNumber(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains(byte)
  }
}

extension YamlError {
  fileprivate func problem(firstLine: Int) -> SettingsProblem {
    func problem(_ text: String, _ mark: Mark?) -> SettingsProblem {
      SettingsProblem(
        path: "", message: "not valid YAML: \(text)", line: mark.map { max($0.line, 1) - 1 + firstLine } ?? firstLine)
    }
    switch self {
    case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _), .composer(_, let text, let mark, _):
      return problem(text, mark)
    case .duplicatedKeysInMapping(let duplicates, let context):
      return problem(
        "the key \(duplicates.sorted().map { "\"\($0)\"" }.joined(separator: ", ")) comes twice", context.mark)
    case .reader(let text, _, _, _): return problem(text, nil)
    default: return problem("\(self)", nil)
    }
  }
}
