import ArgumentParser
import AvaloKeys
import Glibc

/// What every measurement is told: where the server is, whose keys are used, which cores.
struct CommonOptions: ParsableArguments {
  @Option(help: "The server (default: $AVALO_URL, http://127.0.0.1:8480).") var url: String?
  @Option(help: "The configuration folder with the keys (default: $AVALO_CONFIG_DIR, ./.avalo/config, /etc/avalo).")
  var config: String?
  @Option(
    help:
      "avalod's control socket, to find its processes (default: $AVALO_RUNTIME_DIR/control.sock, ./.avalo/run, /run/avalo)."
  )
  var control: String?
  @Option(help: "The server's process ids, with commas between, instead of asking avalod.") var serverPids: String?
  @Flag(help: "Every server process on core 0 and the load on core 1, where there are two cores.") var pin = false
  @Option(name: .customLong("pin-client"), help: "The core that the load runs on.") var clientCore: Int?
  @Option(name: .customLong("pin-server"), help: "The core that every server process is put on.") var serverCore: Int?
  @Flag(help: "Print one JSON object.") var json = false

  private var pinsBoth: Bool { pin && MachineFacts.coreCount >= 2 }
  var pinClient: Int? { clientCore ?? (pinsBoth ? 1 : nil) }
  var pinServer: Int? { serverCore ?? (pinsBoth ? 0 : nil) }

  /// Finds the keys and the processes, and readies this process; nothing is measured yet.
  func bench() async throws -> Bench {
    let target = try Target(url: url ?? Places.url())
    let keys = KeyFolder(config ?? Places.configFolder())
    let processes: ServerProcesses
    if let serverPids {
      processes = try ServerProcesses(
        pids: try serverPids.split(separator: ",").map { text in
          guard let pid = Int32(text) else { throw BenchError.usage("\(text) is no process id") }
          return pid
        })
    } else {
      processes = try await ServerProcesses.discover(control: control ?? Places.controlSocket())
    }
    if let pinServer { try processes.pin(to: pinServer) }
    return Bench(
      target: target, secret: try keys.secret(), apiKey: try keys.developmentKey().text, processes: processes,
      run: Bench.newRun(), descriptorsMax: Socket.raiseDescriptorLimit(), pinClient: pinClient)
  }

  /// Prints what was found; a complaint is exit code 1.
  func finish(_ report: Report) throws {
    if json {
      print(report.jsonText)
    } else {
      print(ReportTables(report: report).text)
    }
    if !report.complaints.isEmpty { throw ExitCode(BenchError.Kind.failed.rawValue) }
  }
}

/// Runs a command's body; what went wrong is one line on standard error and an exit code.
func reportingErrors(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let code as ExitCode {
    throw code
  } catch {
    let code = (error as? BenchError)?.kind ?? .failed
    let line = Array("avalo-bench: \(error)\n".utf8)
    write(STDERR_FILENO, line, line.count)
    throw ExitCode(code.rawValue)
  }
}
