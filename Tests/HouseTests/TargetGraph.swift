import Foundation

/// The targets of `Package.swift` with what each depends on, and what each one's files import.
struct TargetGraph {
  struct Target {
    var name: String
    var dependencies: Set<String>
    /// Module names, from the files.
    var imports: Set<String> = []
  }

  private(set) var targets: [String: Target] = [:]

  /// Reads the manifest's text: one `.target(name: "…", dependencies: […]` after another. Names of products are left out.
  init() throws {
    let manifest = try House.lines("Package.swift").filter { !$0.drop { $0 == " " }.hasPrefix("//") }
      .joined(separator: "\n")
    let declaration =
      /\.(?:target|executableTarget|testTarget|systemLibrary)\(\s*name: "([^"]+)"(?:,\s*dependencies:\s*\[([^\]]*)\])?/
    for match in manifest.matches(of: declaration) {
      let names = (match.2 ?? "").matches(of: /"([^"]+)"/).map { String($0.1) }
      targets[String(match.1)] = Target(name: String(match.1), dependencies: Set(names))
    }
    for name in targets.keys {
      for file in House.files("Sources/\(name)", ".swift") {
        targets[name]?.imports.formUnion(try TargetGraph.imports(in: file))
      }
    }
  }

  static func imports(in file: String) throws -> Set<String> {
    var found: Set<String> = []
    for line in try House.lines(file) where line.hasPrefix("import ") || line.hasPrefix("@") {
      guard let match = line.wholeMatch(of: /(?:@\w+(?:\([^)]*\))? )*import (?:\w+ )?(\w+)(?:\.\w+)*/) else { continue }
      // A target's hyphens are underscores in its module's name.
      found.insert(String(match.1).replacing("_", with: "-"))
    }
    return found
  }

  /// The package's own targets that `name` imports, tests left out.
  func arrows(from name: String) -> Set<String> {
    (targets[name]?.imports ?? []).filter { targets[$0] != nil }
  }

  /// `name` and all it links of ours.
  func closure(of name: String) -> Set<String> {
    var found: Set<String> = [name]
    var open = [name]
    while let next = open.popLast() {
      for arrow in arrows(from: next).union(targets[next]?.dependencies ?? []) where targets[arrow] != nil {
        if found.insert(arrow).inserted { open.append(arrow) }
      }
    }
    return found
  }

  /// Every module that any file of these targets imports.
  func imports(of names: Set<String>) -> Set<String> {
    names.reduce(into: []) { $0.formUnion(targets[$1]?.imports ?? []) }
  }
}
