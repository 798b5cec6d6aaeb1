import AvaloClient
import AvaloCore
import AvaloKeys
import Glibc

/// A throw-away server: avalod with a folder, keys and ports of its own, gone when it is stopped.
struct Sandbox {
  let folder: String
  let url: String
  private let avalod: Child

  var configFolder: String { folder + "/config" }
  var runtimeFolder: String { folder + "/run" }

  /// What programs that are to find it are told.
  var environment: [String: String] {
    ["AVALO_URL": url, "AVALO_CONFIG_DIR": configFolder, "AVALO_RUNTIME_DIR": runtimeFolder]
  }

  /// Starts avalod on a copy of a configuration and waits until it is ready.
  static func start(template: String) async throws -> Sandbox {
    guard access(template + "/avalo.yaml", R_OK) == 0 else {
      throw ToolError.usage("There is no \(template)/avalo.yaml; name a configuration folder with --template")
    }
    let avalod = try Siblings.path(of: "avalod")
    var name = Array("/tmp/avalo-XXXXXX".utf8CString)
    guard mkdtemp(&name) != nil else { throw ToolError.failed("/tmp: \(String(cString: strerror(errno)))") }
    let folder = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    do {
      return try await start(avalod, template, folder)
    } catch {
      await remove(folder)
      throw error
    }
  }

  private static func start(_ avalod: String, _ template: String, _ folder: String) async throws -> Sandbox {
    let config = folder + "/config"
    guard try await Child.spawn("cp", ["-r", template, config]).ended() == 0 else {
      throw ToolError.failed("cannot copy \(template) to \(config)")
    }
    var generator = SystemRandomNumberGenerator()
    _ = try KeyFolder(config).prepare(forDevelopment: true, using: &generator)
    _ = try DevelopmentSetup.apply(to: config)
    let log = folder + "/avalod.log"
    let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard output >= 0 else { throw ToolError.failed("\(log): \(String(cString: strerror(errno)))") }
    defer { close(output) }
    let port = try freePort()
    let child = try await Child.spawnBound(
      avalod, ["--config", config],
      environment: [
        "AVALO_RUNTIME_DIRECTORY": folder + "/run",
        "AVALO_STATE_DIRECTORY": folder + "/state",
        "AVALO_ADMIN__LISTEN": "127.0.0.1:0",
        "AVALO_WORKERS__GATEWAY__SOCKETS__CLIENT__LISTEN": "127.0.0.1:\(port)",
      ], output: output)
    let sandbox = Sandbox(folder: folder, url: "http://127.0.0.1:\(port)", avalod: child)
    do {
      try await sandbox.waitUntilReady()
      return sandbox
    } catch {
      await child.stop(within: .seconds(5))
      if !(error is CancellationError) { Output.complaint(tail(of: log)) }
      throw error
    }
  }

  func stop(keep: Bool) async {
    await avalod.stop(within: .seconds(30))
    if !keep { await Sandbox.remove(folder) }
  }

  private func waitUntilReady() async throws {
    let control = Control(socket: runtimeFolder + "/control.sock")
    let deadline = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < deadline {
      if let code = avalod.exitCode() { throw ToolError.failed("avalod ended with \(code) instead of starting") }
      // Not there yet is what is waited for.
      if let status = try? await control.status(), status.read({ $0["ready"]?.boolean }) == true { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw ToolError.failed("avalod was not ready within 30 seconds")
  }

  private static func remove(_ folder: String) async {
    // Cancelling does not spare it; and a folder that stays in /tmp hurts nobody.
    _ = await Task { try await Child.spawn("rm", ["-rf", folder]).ended() }.result
  }

  /// One that nobody has now; the kernel gives it out again late enough.
  private static func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, size) == 0 ? getsockname(descriptor, $0, &size) : -1
      }
    }
    guard result == 0 else { throw ToolError.failed("no free port: \(String(cString: strerror(errno)))") }
    return UInt16(bigEndian: address.sin_port)
  }

  private static func tail(of path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = fread(&buffer, 1, buffer.count, file)
    let lines = String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n")
    return lines.suffix(30).joined(separator: "\n")
  }
}
