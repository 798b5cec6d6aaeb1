import AvaloSystem
import CAvalo
import Glibc
import Logging
import Synchronization

/// avalod as a program: what its command line can ask for. Runs on the process's first thread, which becomes the
/// supervisor's loop; every function returns an exit code.
public struct Daemon: Sendable {
  public static let version = Version.current

  private let folder: String
  private let context: ConfigurationContext

  /// - `folder`: of the configuration.
  public init(folder: String, context: ConfigurationContext = .ofProcess()) {
    self.folder = folder
    self.context = context
  }

  /// Runs the service until it is told to stop.
  public func run() -> Int32 {
    let inherited: [InheritedSocket]
    do {
      // Before any other thread reads the environment.
      inherited = try InheritedSockets.take()
    } catch {
      Daemon.complain("avalod: \(error)")
      return ExitCode.unavailable
    }
    // What we and our workers write is nobody else's, whoever started us; what others may open says so itself.
    umask(0o077)
    return onLoop { loop in
      let configuration: Configuration
      do {
        configuration = try await WorkerChecks(loop: loop, clock: .system).read(folder: folder, context: context)
      } catch {
        complain(error)
        return ExitCode.configuration
      }
      Logs.bootstrap(
        level: configuration.logLevel, destination: configuration.logDestination ?? .automatic(),
        identifier: "avalod", source: "avalod")
      let supervisor = Supervisor(
        configuration: configuration, folder: folder, context: context, inherited: inherited, loop: loop)
      return await supervisor.run()
    }
  }

  /// Prints everything that is wrong with the configuration, the workers' settings too.
  /// - `json`: as one JSON object on standard output, whether good or not.
  public func check(json: Bool = false) -> Int32 {
    onLoop { loop in
      do {
        let configuration = try await WorkerChecks(loop: loop, clock: .system).read(folder: folder, context: context)
        let instances = configuration.workers.reduce(0) { $0 + $1.instances }
        if json {
          print("{\"good\":true,\"workers\":\(configuration.workers.count),\"instances\":\(instances)}")
        } else {
          print("\(folder): good, \(configuration.workers.count) workers, \(instances) instances")
        }
        return ExitCode.success
      } catch {
        if json, let error = error as? ConfigurationError { print(error.json) } else { complain(error) }
        return ExitCode.configuration
      }
    }
  }

  /// Prints the configuration as it is in force, with every default, as YAML.
  public func printConfiguration() -> Int32 {
    do {
      print(try Configuration.read(directory: folder, context: context).document.yaml(), terminator: "")
      return ExitCode.success
    } catch {
      complain(error)
      return ExitCode.configuration
    }
  }

  private func onLoop(_ body: @escaping @Sendable (SupervisorLoop) async -> Int32) -> Int32 {
    let loop: SupervisorLoop
    do {
      loop = try SupervisorLoop()
    } catch {
      Daemon.complain("avalod: \(error)")
      return ExitCode.unavailable
    }
    avalo_ignore_sigpipe()
    let code = ExitCodeBox()
    // Stops the loop when it ends; nothing cancels it. On the first thread it would get a priority that only root may
    // have, about which libdispatch complains.
    Task(priority: .medium) {
      code.value.store(await body(loop), ordering: .sequentiallyConsistent)
      loop.stop()
    }
    loop.run()
    return code.value.load(ordering: .sequentiallyConsistent)
  }

  private func complain(_ error: any Error) {
    guard let error = error as? ConfigurationError else { return Daemon.complain("avalod: \(error)") }
    for problem in error.problems { Daemon.complain("\(problem)") }
  }

  private static func complain(_ line: String) {
    var text = line + "\n"
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

private final class ExitCodeBox: Sendable {
  let value = Atomic<Int32>(0)
}

extension ConfigurationContext {
  /// Of this process and this machine.
  public static func ofProcess() -> ConfigurationContext {
    var environment: [String: String] = [:]
    let bytes = (try? ProcessFile.readBytes("/proc/self/environ", bytesMax: 4 << 20)) ?? []
    for entry in bytes.split(separator: 0) {
      guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
      environment[String(decoding: entry[..<equals], as: UTF8.self)] = String(
        decoding: entry[entry.index(after: equals)...], as: UTF8.self)
    }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    func text(_ count: Int) -> String {
      String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let executable = length > 0 ? text(length) : "/usr/sbin/avalod"
    let folder = getcwd(&buffer, buffer.count) == nil ? "/" : text(strlen(buffer))
    return ConfigurationContext(
      environment: environment, workingDirectory: folder,
      executableDirectory: String(executable[..<(executable.lastIndex(of: "/") ?? executable.endIndex)]),
      processors: Int(max(1, avalo_usable_processors())), userID: geteuid())
  }
}
