import AvaloTesting
import Foundation

/// The repository as text: what the house tests read.
enum House {
  static let root = TestPaths.root

  /// Paths, relative to the repository, of all files below `folder` whose names end in one of `suffixes`, sorted.
  static func files(_ folder: String, _ suffixes: String...) -> [String] {
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
    return names.filter { name in suffixes.contains { name.hasSuffix($0) } }.map { "\(folder)/\($0)" }.sorted()
  }

  static func read(_ path: String) throws -> String {
    try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
  }

  static func lines(_ path: String) throws -> [Substring] {
    try read(path).split(separator: "\n", omittingEmptySubsequences: false)
  }

  static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(root)/\(path)") }

  /// The documents that people read.
  static var documents: [String] {
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] + files("docs", ".md")
  }
}
