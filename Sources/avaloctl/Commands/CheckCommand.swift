import ArgumentParser
import Glibc

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Has avalod check a configuration folder: every error at once, exit 78 if any.")

  @OptionGroup var config: ConfigOption
  @OptionGroup var output: OutputOption

  func run() async throws {
    try await reportingErrors {
      let avalod = try Siblings.path(of: "avalod")
      // Becomes avalod: its output and its exit code are the answer.
      let words = [avalod, "--check", "--config", config.path] + (output.json ? ["--json"] : [])
      var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
      execv(avalod, &arguments)
      throw ToolError.failed("cannot run \(avalod): \(String(cString: strerror(errno)))")
    }
  }
}

/// The programs that are installed beside this one.
enum Siblings {
  static func path(of name: String) throws -> String {
    let own = try ownPath()
    let folder = own[..<(own.lastIndex(of: "/") ?? own.startIndex)]
    let candidates = ["\(folder)/\(name)", "\(folder)/../sbin/\(name)", "/usr/sbin/\(name)", "/usr/bin/\(name)"]
    guard let found = candidates.first(where: { access($0, X_OK) == 0 }) else {
      throw ToolError.unavailable(
        "There is no \(name) beside \(own), nor in /usr/sbin. Build it: make build, or install the package")
    }
    return found
  }

  private static func ownPath() throws -> String {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes {
      readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    guard count > 0 else { throw ToolError.failed("/proc/self/exe: \(String(cString: strerror(errno)))") }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }
}
