import AvaloKeys
import Glibc

/// What makes a configuration folder one for development: keys that lie in it, and an `avalo.yaml` that opens what is
/// closed in production.
enum DevelopmentSetup {
  static let mark = "# Added by `avaloctl init --dev`:"
  static let settings = """

    \(mark) open on a developer's machine, closed in production.
    workers:
      gateway:
        settings:
          # Pages that this machine serves may call.
          cors: {origins: [loopback]}
          # Members of a chat may publish to it with their own token.
          topics:
            chat: {subscribe: members, publish: members}
          # Everybody may connect.
          flags:
            realtime_engine_v2: {rollout: 100}

    """

  enum Outcome {
    case added
    /// It has been there, or there is no gateway in this folder.
    case unchanged
    /// Somebody says something of workers there, which is not ours to rewrite.
    case occupied
  }

  /// Adds the settings to the folder's `avalo.yaml`. Doing it again changes nothing.
  static func apply(to folder: String) throws -> Outcome {
    let path = folder + "/avalo.yaml"
    guard access(folder + "/workers.d/gateway.yaml", F_OK) == 0 else { return .unchanged }
    let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { throw failure(path) }
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    if text.contains(mark) { return .unchanged }
    if text.split(separator: "\n").contains(where: { $0.hasPrefix("workers:") }) { return .occupied }
    let added = Array(((text.isEmpty || text.hasSuffix("\n") ? "" : "\n") + settings).utf8)
    guard write(descriptor, added, added.count) == added.count else { throw failure(path) }
    return .added
  }

  private static func failure(_ path: String) -> ToolError {
    .failed("cannot change \(path): \(String(cString: strerror(errno)))")
  }
}
