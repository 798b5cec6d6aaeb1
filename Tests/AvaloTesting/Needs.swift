import Foundation

/// What some tests need of the machine. Where it is missing they are skipped, by name and with the reason:
///
///     @Test(.enabled(if: Needs.root, "needs root")) func …
///
/// In CI (the variable `CI` is set) nothing is skipped: there they fail, and say what they did not find.
public enum Needs {
  private static let isCI = ProcessInfo.processInfo.environment["CI"].map { !$0.isEmpty } ?? false

  public static let root = isCI || geteuid() == 0

  /// What `make deps-test` fetches from PyPI into `.build`: a path in there.
  public static func fetched(_ path: String) -> Bool {
    isCI || FileManager.default.fileExists(atPath: "\(TestPaths.root)/.build/\(path)")
  }

  /// A program of the system, such as `promtool`.
  public static func tool(_ name: String) -> Bool { isCI || path(of: name) != nil }

  /// Where a program of the system is; `nil` when it is not installed.
  public static func path(of name: String) -> String? {
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", "/lib/systemd"].lazy.map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}
