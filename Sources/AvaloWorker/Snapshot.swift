import AvaloSystem
import Dispatch
import Glibc
import Logging
import Synchronization

/// A copy of a worker's database, made while it is used, for whoever takes backups: `avaloctl backup` copies it away and
/// has it deleted. It lies beside the original, since that is where the worker may write and where there is room for it.
///
///     POST   /snapshot  begins one, in the place of an older; 409 while one is being made
///     GET    /snapshot  {"state": "none" | "running" | "done" | "failed", "snapshot", "file", "bytes", "error"}
///     DELETE /snapshot  deletes it; 409 while it is being made
///
/// Making one takes as long as reading the file takes, so nobody waits for it within a request.
public final class Snapshot: Sendable {
  private enum State {
    case none
    case running
    case done(bytes: Int)
    case failed(String)
  }

  private let file: String
  private let log: Logger
  private let make: @Sendable (_ path: String) throws -> Void
  private let state = Mutex(State.none)

  /// Where it is made; in place only when it is whole.
  private var draft: String { file + ".snapshot.new" }
  public var path: String { file + ".snapshot" }

  /// - `file`: the database.
  /// - `make`: writes a copy of it to a path where nothing is; called on a thread that it may block.
  public init(of file: String, log: Logger, make: @escaping @Sendable (_ path: String) throws -> Void) {
    self.file = file
    self.log = log
    self.make = make
    // What a backup left that did not end.
    clear()
  }

  public func add(to routes: HTTPRoutes) {
    routes.add("POST", "/snapshot") { [self] _ in
      guard begin() else { return .text("a snapshot is being made already", status: 409) }
      return .json(document, status: 202)
    }
    routes.add("GET", "/snapshot") { [self] _ in .json(document) }
    routes.add("DELETE", "/snapshot") { [self] _ in
      let isFree = state.withLock { state in
        if case .running = state { return false }
        state = .none
        return true
      }
      guard isFree else { return .text("the snapshot is being made", status: 409) }
      clear()
      return .json(document)
    }
  }

  private func begin() -> Bool {
    let isFree = state.withLock { state in
      if case .running = state { return false }
      state = .running
      return true
    }
    guard isFree else { return false }
    DispatchQueue.global(qos: .utility).async { self.run() }
    return true
  }

  private func run() {
    clear()
    let outcome: State
    do {
      try make(draft)
      try sync(draft)
      guard rename(draft, path) == 0 else { throw SystemError(path) }
      var status = stat()
      guard stat(path, &status) == 0 else { throw SystemError(path) }
      outcome = .done(bytes: Int(status.st_size))
      log.notice("snapshot made", metadata: ["path": "\(path)", "bytes": "\(status.st_size)"])
    } catch {
      outcome = .failed("\(error)")
      unlink(draft)
      log.error("a snapshot could not be made", metadata: ["path": "\(path)", "error": "\(error)"])
    }
    state.withLock { $0 = outcome }
  }

  private func sync(_ path: String) throws(SystemError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw SystemError(path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw SystemError(path) }
  }

  private func clear() {
    for path in [draft, draft + "-journal", path] { unlink(path) }
  }

  private var document: SettingsNode {
    var entries: [(String, SettingsNode.Value)] = [("file", .string(file)), ("snapshot", .string(path))]
    switch state.withLock({ $0 }) {
    case .none: entries.append(("state", .string("none")))
    case .running: entries.append(("state", .string("running")))
    case .done(let bytes): entries += [("state", .string("done")), ("bytes", .integer(Int64(bytes)))]
    case .failed(let reason): entries += [("state", .string("failed")), ("error", .string(reason))]
    }
    return SettingsNode(.section(entries.map { .init(key: $0.0, node: SettingsNode($0.1)) }))
  }
}
