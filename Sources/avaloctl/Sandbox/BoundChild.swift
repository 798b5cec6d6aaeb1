import AvaloSystem
import CAvalo
import Glibc

extension Child {
  /// Starts a program that ends when this process does, however that ends, and that the terminal's Ctrl-C spares.
  /// - `output`: where its standard output and error go.
  static func spawnBound(
    _ path: String, _ arguments: [String], environment: [String: String], output: Int32
  ) async throws -> Child {
    try await withCheckedThrowingContinuation { continuation in
      do {
        try SystemThread.start(name: "keeper") {
          continuation.resume(with: Result { try start(path, arguments, environment, output) })
          // The kernel ends the program with the thread that started it: this one stays.
          while true { pause() }
        }
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }

  private static func start(
    _ path: String, _ arguments: [String], _ environment: [String: String], _ output: Int32
  ) throws -> Child {
    var words = ([path] + arguments).map { strdup($0) } + [nil]
    var variables = Child.environment(with: environment).map { strdup($0) } + [nil]
    defer { for pointer in words + variables { free(pointer) } }
    var spawned = avalo_spawned()
    let result = path.withCString { path in
      words.withUnsafeMutableBufferPointer { words in
        variables.withUnsafeMutableBufferPointer { variables in
          var description = avalo_spawn()
          description.path = path
          description.arguments = UnsafePointer(words.baseAddress)
          description.environment = UnsafePointer(variables.baseAddress)
          description.standard_output = output
          description.standard_error = output
          return avalo_spawn_start(&description, &spawned)
        }
      }
    }
    guard result == 0 else { throw ToolError.failed("cannot run \(path): \(String(cString: strerror(errno)))") }
    // It is waited for by its number.
    close(spawned.descriptor)
    return Child(pid: spawned.pid)
  }
}
