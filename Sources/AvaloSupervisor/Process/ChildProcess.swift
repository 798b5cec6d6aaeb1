import AvaloSystem
import CAvalo
import Glibc

/// A process that was started, by its descriptor: a signal never reaches another that got its number. The supervisor's
/// loop owns it, watches the descriptor and reaps it.
struct ChildProcess: Sendable {
  let pid: pid_t
  /// Readable when the process has ended.
  let descriptor: Int32

  /// What to start. Every descriptor stays the caller's.
  struct Description: Sendable {
    var executable: String
    var arguments: [String] = []
    var environment: [String: String] = [:]
    /// Become 3, 4, … in the child.
    var descriptors: [Int32] = []
    /// `nil`: ours.
    var standardOutput: Int32?
    var directory: String?
    var limits: [ResourceLimit] = []
    var user: UserAccount?
  }

  /// Starts it. Only on a thread that lives as long as it should: see `avalo_spawn_start`.
  init(_ what: Description) throws(SpawnError) {
    var spawned = avalo_spawned()
    let arguments = CStrings([what.executable] + what.arguments)
    let environment = CStrings(what.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
    let limits = what.limits.map { avalo_spawn_limit(resource: $0.resource, value: $0.value) }
    let groups = what.user?.groups ?? []
    let result = withExtendedLifetime((arguments, environment)) {
      what.executable.withCString { path in
        what.descriptors.withUnsafeBufferPointer { descriptors in
          limits.withUnsafeBufferPointer { limits in
            groups.withUnsafeBufferPointer { groups in
              withOptionalCString(what.directory) { directory in
                var description = avalo_spawn(
                  path: path, arguments: arguments.pointers, environment: environment.pointers,
                  descriptors: descriptors.baseAddress, descriptor_count: Int32(descriptors.count),
                  standard_output: what.standardOutput ?? -1, standard_error: -1, directory: directory,
                  limits: limits.baseAddress,
                  limit_count: Int32(limits.count), change_user: what.user == nil ? 0 : 1, user: what.user?.user ?? 0,
                  group: what.user?.group ?? 0, groups: groups.baseAddress, group_count: Int32(groups.count))
                return avalo_spawn_start(&description, &spawned)
              }
            }
          }
        }
      }
    }
    guard result == 0 else {
      throw SpawnError(executable: what.executable, step: SpawnStep(spawned.failed_step), code: errno)
    }
    pid = spawned.pid
    descriptor = spawned.descriptor
  }

  /// To the process alone. A process that has ended takes no signal, which is no error.
  func signal(_ number: Int32) { _ = avalo_signal_process(descriptor, number) }

  /// To its whole group, while it is not reaped (its number is then still its own).
  func killGroup() {
    kill(-pid, SIGKILL)
    signal(SIGKILL)
  }

  /// How it ended; `nil` while it runs. What it left behind in its group is killed. Closes the descriptor.
  func reap() -> Ending? {
    var ending = avalo_ending()
    let result = avalo_reap(descriptor, pid, &ending)
    if result == 0 { return nil }
    close(descriptor)
    // Somebody else took its ending: it is gone all the same.
    guard result == 1 else { return Ending(code: 255, wasKilled: false) }
    return Ending(code: ending.code, wasKilled: ending.killed != 0, dumpedCore: ending.dumped_core != 0)
  }

  /// Takes the endings of processes that became ours when their parents died: the first process of a container must.
  static func reapOrphans(except own: [pid_t]) { avalo_reap_orphans(own, Int32(own.count)) }
}

/// A process that did not come to be.
struct SpawnError: Error, Equatable, Sendable, CustomStringConvertible {
  let executable: String
  let step: SpawnStep
  let code: Int32

  var description: String { "\(executable): \(step.rawValue): \(SystemError.text(of: code))" }
}

/// What `avalo_spawn_start` was about to do.
enum SpawnStep: String, Sendable {
  case fork
  case group = "make its process group"
  case descriptors = "hand over its descriptors"
  case limit = "set its resource limits"
  case user = "become its user"
  case parent = "tie its life to avalod's"
  case directory = "enter its folder"
  case execute

  init(_ step: avalo_spawn_step) {
    self =
      switch step {
      case AVALO_SPAWN_GROUP: .group
      case AVALO_SPAWN_DESCRIPTORS: .descriptors
      case AVALO_SPAWN_LIMIT: .limit
      case AVALO_SPAWN_USER: .user
      case AVALO_SPAWN_PARENT: .parent
      case AVALO_SPAWN_DIRECTORY: .directory
      case AVALO_SPAWN_EXECUTE: .execute
      default: .fork
      }
  }
}

/// A null-terminated vector of C strings, as execve(2) takes it.
private final class CStrings {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointers = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { (pointers + index).initialize(to: strdup(string)) }
    (pointers + count).initialize(to: nil)
  }

  deinit {
    for index in 0..<count { free(pointers[index]) }
    pointers.deallocate()
  }
}

private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
  guard let text else { return body(nil) }
  return text.withCString { body($0) }
}
