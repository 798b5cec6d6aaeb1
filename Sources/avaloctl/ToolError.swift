import ArgumentParser
import AvaloClient
import AvaloKeys

/// What the tool could not do: a sentence that says what was wrong and what to do, and the exit code that goes with it.
struct ToolError: Error, CustomStringConvertible {
  var code: Int32
  var description: String

  static func failed(_ text: String) -> ToolError { ToolError(code: 1, description: text) }
  static func usage(_ text: String) -> ToolError { ToolError(code: 64, description: text) }
  /// EX_UNAVAILABLE of sysexits.h.
  static func unavailable(_ text: String) -> ToolError { ToolError(code: 69, description: text) }

  /// What a failure of the parts below means for whoever sits at the terminal.
  init(_ error: any Error) {
    switch error {
    case let error as ToolError: self = error
    case let error as KeyFolderError: self = .failed(error.description)
    case ClientError.unreachable(let why):
      self = .unavailable("\(why). Is the server running? Start it: make run, or systemctl start avalod")
    case let error as ClientError: self = .failed(error.description)
    default: self = .failed("\(error)")
    }
  }

  private init(code: Int32, description: String) {
    self.code = code
    self.description = description
  }
}

/// Runs a command's body; a failure is one line on standard error and an exit code.
func reportingErrors(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let code as ExitCode {
    throw code
  } catch {
    let error = ToolError(error)
    Output.complaint("avaloctl: \(error.description)")
    throw ExitCode(error.code)
  }
}
