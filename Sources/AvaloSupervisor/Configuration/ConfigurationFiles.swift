import AvaloSystem
import Glibc

/// The configuration folder as one tree: `avalo.yaml`, each `conf.d/*.yaml` over it in the order of their names, each
/// `workers.d/NAME.yaml` as `workers.NAME` below it, what is said of a worker over its manifest, and the environment over
/// all. Knows where every value came from.
struct ConfigurationFiles {
  /// As it was named by whoever started us: what is printed before a line number.
  let directory: String
  private(set) var tree = SettingsNode.emptySection
  private(set) var problems: [ConfigurationProblem] = []
  private var sources = ConfigurationSources()

  static let mainFile = "avalo.yaml"
  static let manifestFolder = "workers.d"
  /// What others than its author add to `avalo.yaml`: `avaloctl flags set`, a package, a tool that manages machines.
  static let dropInFolder = "conf.d"

  /// Reads everything there is; what cannot be read becomes a problem.
  init(directory: String, environment: [String: String]) {
    self.directory = directory
    let main = readDropIns().reduce(readMain()) { $0.merging($1) }
    let manifests = readManifests()
    tree = main
    merge(manifests, under: main["workers"])
    for (name, value) in environment.sorted(by: { $0.key < $1.key }) { override(name, with: value) }
  }

  /// What a reader of the tree found, with its place, the key as it is spelled there.
  mutating func note(_ found: [SettingsProblem]) {
    for problem in found { problems.append(sources.locate(problem)) }
  }

  // MARK: Files

  private mutating func readMain() -> SettingsNode {
    let path = "\(directory)/\(ConfigurationFiles.mainFile)"
    var status = stat()
    guard stat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      problems.append(ConfigurationProblem(place: directory, message: "no such folder; name one with --config"))
      return .emptySection
    }
    // All its keys have defaults.
    if access(path, F_OK) != 0, errno == ENOENT { return .emptySection }
    return read(path, worker: nil) ?? .emptySection
  }

  private mutating func readDropIns() -> [SettingsNode] {
    files(in: ConfigurationFiles.dropInFolder).compactMap { read($0.path, worker: nil) }
  }

  private mutating func readManifests() -> [(name: String, node: SettingsNode)] {
    var manifests: [(name: String, node: SettingsNode)] = []
    for (path, name) in files(in: ConfigurationFiles.manifestFolder) {
      guard ConfigurationFiles.isName(name) else {
        problems.append(ConfigurationProblem(place: path, message: "a worker's name is \(ConfigurationFiles.nameRule)"))
        continue
      }
      if let node = read(path, worker: name) { manifests.append((name, node)) }
    }
    return manifests
  }

  /// The YAML files of a folder, in the order of their names, which are given without their ending.
  private mutating func files(in subfolder: String) -> [(path: String, name: String)] {
    let folder = "\(directory)/\(subfolder)"
    guard let stream = opendir(folder) else {
      if errno != ENOENT { problems.append(ConfigurationProblem(place: folder, message: SystemError.text(of: errno))) }
      return []
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    var files: [(path: String, name: String)] = []
    for file in names.sorted() where !file.hasPrefix(".") {
      let path = "\(folder)/\(file)"
      if file.hasSuffix(".yml") {
        problems.append(ConfigurationProblem(place: path, message: "would not be read: its name must end in .yaml"))
      }
      if file.hasSuffix(".yaml") { files.append((path, String(file.dropLast(5)))) }
    }
    return files
  }

  private mutating func read(_ path: String, worker: String?) -> SettingsNode? {
    let base = sources.add(path, worker: worker)
    do {
      let bytes = try ProcessFile.readBytes(path, bytesMax: SupervisorLimits.configurationBytesMax)
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw SettingsProblem(path: "", message: "not UTF-8")
      }
      let node = try SettingsNode(yaml: text, firstLine: base + 1)
      guard case .section = node.value else {
        throw SettingsProblem(path: "", message: "expected keys with values, not \(node.described)", line: node.line)
      }
      return node
    } catch let error as SystemError {
      problems.append(ConfigurationProblem(place: path, message: SystemError.text(of: error.code)))
    } catch let error as SettingsProblem {
      problems.append(
        error.line.map { _ in sources.locate(error) } ?? ConfigurationProblem(place: path, message: error.message))
    } catch {
      problems.append(ConfigurationProblem(place: path, message: "\(error)"))
    }
    return nil
  }

  // MARK: Merging

  private mutating func merge(_ manifests: [(name: String, node: SettingsNode)], under overrides: SettingsNode?) {
    var workers = SettingsNode.emptySection
    for (name, node) in manifests { workers[name] = node }
    if let overrides {
      switch overrides.value {
      case .section(let entries):
        for entry in entries where workers[entry.key] == nil && entry.node["executable"] == nil {
          let nearest = EditDistance.nearest(to: entry.key, among: manifests.map(\.name))
          note([
            SettingsProblem(
              path: "workers.\(entry.key)",
              message: "there is no manifest \(ConfigurationFiles.manifestFolder)/\(entry.key).yaml"
                + (nearest.map { "; did you mean \"\($0)\"?" } ?? ""),
              line: entry.line)
          ])
        }
        let known = entries.filter { workers[$0.key] != nil || $0.node["executable"] != nil }
        workers = workers.merging(SettingsNode(.section(known), line: overrides.line))
      case .null: break
      default:
        workers = overrides  // the reader says what is wrong with it
      }
    }
    tree["workers"] = workers
  }

  /// `AVALO_WORKERS__GATEWAY__INSTANCES=2` is `workers: {gateway: {instances: 2}}`. Variables without `__` are other
  /// programs' (a client's key, a worker's slot), but for the folders.
  private mutating func override(_ name: String, with value: String) {
    let plain = ["AVALO_RUNTIME_DIRECTORY", "AVALO_STATE_DIRECTORY"]
    guard name.hasPrefix("AVALO_"), plain.contains(name) || name.dropFirst(6).contains("__") else { return }
    let line = sources.add(name, worker: nil, isVariable: true)
    var path: [String] = []
    var rest = name.dropFirst(6)
    while let range = rest.firstRange(of: "__") {
      path.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    path.append(String(rest))
    guard path.allSatisfy({ !$0.isEmpty }) else {
      problems.append(ConfigurationProblem(place: name, message: "an empty part in the variable's name"))
      return
    }
    do {
      let node =
        try plain.contains(name) ? SettingsNode(.string(value), line: line) : SettingsNode(yamlValue: value, line: line)
      tree = ConfigurationFiles.setting(path[...], of: tree, to: node)
    } catch {
      note([error])
    }
  }

  private static func setting(_ path: ArraySlice<String>, of section: SettingsNode, to node: SettingsNode)
    -> SettingsNode
  {
    guard let first = path.first else { return node }
    var result = section
    if case .section = section.value {} else { result = SettingsNode(.section([]), line: node.line) }
    // An existing key is found by its letters; a variable's name has neither lower case nor hyphens.
    var key = first.lowercased()
    if case .section(let entries) = result.value {
      key = entries.map(\.key).first { variable($0) == variable(first) } ?? key
    }
    result[key] = setting(path.dropFirst(), of: result[key] ?? SettingsNode(.section([]), line: node.line), to: node)
    return result
  }

  private static func variable(_ key: String) -> String {
    String(key.uppercased().map { $0 == "-" ? "_" : $0 })
  }

  // MARK: Names

  /// `avalod` is us, in the names of sockets.
  static let nameRule =
    "a lower-case letter, then lower-case letters, digits and hyphens, at most 32 in all, and not \"avalod\""
  static func isName(_ name: String) -> Bool {
    guard name != SocketTable.supervisor, let first = name.utf8.first, (0x61...0x7A).contains(first) else {
      return false
    }
    return name.utf8.count <= SupervisorLimits.nameBytesMax
      && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
  }
}

/// Something wrong in the configuration, as it is printed: `config/avalo.yaml:12: admin.listen: expected …`.
public struct ConfigurationProblem: Error, Equatable, Sendable, CustomStringConvertible {
  /// A file, a folder, or an environment variable.
  public var place: String
  /// From 1; `nil` when the whole is meant.
  public var line: Int?
  public var key: String = ""
  public var message: String

  public var description: String {
    "\(place)\(line.map { ":\($0)" } ?? ""): \(key.isEmpty ? "" : "\(key): ")\(message)"
  }
}

/// Numbers the lines of all files in one row, so that a value's line says its file too.
private struct ConfigurationSources {
  private struct Source {
    var name: String
    /// The worker whose manifest this is.
    var worker: String?
    var isVariable: Bool
  }
  private var sources: [Source] = []
  private static let linesPerSource = 1 << 24

  /// Answers what the source's own line numbers are added to (a variable's only line is that number itself).
  mutating func add(_ name: String, worker: String?, isVariable: Bool = false) -> Int {
    sources.append(Source(name: name, worker: worker, isVariable: isVariable))
    return (sources.count - 1) * ConfigurationSources.linesPerSource
  }

  func locate(_ problem: SettingsProblem) -> ConfigurationProblem {
    guard let line = problem.line, sources.indices.contains(line / ConfigurationSources.linesPerSource) else {
      return ConfigurationProblem(
        place: ConfigurationFiles.mainFile, key: problem.path, message: problem.message)
    }
    let source = sources[line / ConfigurationSources.linesPerSource]
    var key = problem.path
    // A manifest's keys are said as they are spelled in it.
    if let worker = source.worker {
      let prefix = "workers.\(worker)"
      if key == prefix {
        key = ""
      } else if key.hasPrefix(prefix + ".") {
        key = String(key.dropFirst(prefix.count + 1))
      }
    }
    return ConfigurationProblem(
      place: source.name, line: source.isVariable ? nil : line % ConfigurationSources.linesPerSource, key: key,
      message: problem.message)
  }
}
