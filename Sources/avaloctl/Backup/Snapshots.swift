import AvaloClient
import AvaloCore

/// The workers' databases as copies that do not change, for as long as a backup needs them.
struct Snapshots {
  struct Copy {
    /// The database itself.
    var file: String
    /// Its copy.
    var path: String
  }

  /// Those that keep a database.
  static let workers = ["scheduler", "presence"]
  private let control: Control

  init(_ control: Control) { self.control = control }

  /// Calls `body` with the copies, which are gone when it returns.
  func with<Value>(_ body: ([Copy]) async throws -> Value) async throws -> Value {
    var made: [String] = []
    let result: Result<Value, any Error>
    do {
      var copies: [Copy] = []
      for worker in Snapshots.workers {
        guard let copy = try await make(worker) else { continue }
        made.append(worker)
        copies.append(copy)
      }
      result = .success(try await body(copies))
    } catch {
      result = .failure(error)
    }
    for worker in made {
      do {
        _ = try await control.ask(HTTPRequest("DELETE", "/workers/\(worker)/snapshot"))
      } catch {
        Output.complaint("the snapshot of \(worker) could not be deleted (\(error)); the next backup will")
      }
    }
    return try result.get()
  }

  /// `nil` when the worker keeps nothing.
  private func make(_ worker: String) async throws -> Copy? {
    let path = "/workers/\(worker)/snapshot"
    let begun = try await control.ask(HTTPRequest("POST", path))
    if begun.status == 404 { return nil }
    if begun.status == 409 { throw ToolError.failed("Another backup is being made: \(Control.sentence(begun))") }
    var document = try Control.document(begun)
    let deadline = ContinuousClock.now + .seconds(CtlLimits.snapshotSecondsMax)
    while document.read({ $0.text("state") }) == "running" {
      guard ContinuousClock.now < deadline else {
        throw ToolError.failed("\(worker) has not copied its database within \(CtlLimits.snapshotSecondsMax) s")
      }
      try await Task.sleep(for: .milliseconds(CtlLimits.snapshotLookMilliseconds))
      document = try await control.get(path)
    }
    return try document.read { view in
      guard view.text("state") == "done" else {
        throw ToolError.failed("\(worker) could not copy its database: \(view.text("error"))")
      }
      return Copy(file: view.text("file"), path: view.text("snapshot"))
    }
  }
}
