import Foundation

/// A folder of one test's own, short enough for Unix sockets within it, removed with its last user.
public final class TestFolder: Sendable {
  public let path: String

  public init() {
    var template = Array("/tmp/avalo-test.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { preconditionFailure("mkdtemp: \(String(cString: strerror(errno)))") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file, with the folders it needs. Answers its path.
  @discardableResult
  public func write(_ text: String, to name: String, executable: Bool = false) throws -> String {
    let file = "\(path)/\(name)"
    let folder = (file as NSString).deletingLastPathComponent
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    if executable { chmod(file, 0o755) }
    return file
  }

  /// Copies the files of a folder, whoever owns them, to `name` in this one.
  public func copy(_ folder: String, to name: String) throws {
    for file in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      var isFolder: ObjCBool = false
      let path = "\(folder)/\(file)"
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else { continue }
      try write(String(contentsOfFile: path, encoding: .utf8), to: "\(name)/\(file)")
    }
  }

  public func read(_ name: String) throws -> String {
    try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
  }
}

/// Where things are that tests need.
public enum TestPaths {
  /// The folder of the built executables: the test bundle's own. All names of the program are there as links.
  public static let products: String = {
    let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let candidates = [executable, CommandLine.arguments[0]].map { ($0 as NSString).deletingLastPathComponent }
    let folder = candidates.first { FileManager.default.isExecutableFile(atPath: "\($0)/avalo") } ?? candidates[0]
    let link = Process()
    link.executableURL = URL(fileURLWithPath: "\(root)/scripts/link-programs")
    link.arguments = [folder]
    try? link.run()
    link.waitUntilExit()
    precondition(link.terminationStatus == 0, "scripts/link-programs \(folder)")
    return folder
  }()

  public static func executable(_ name: String) -> String { "\(products)/\(name)" }

  /// The repository.
  public static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
}
