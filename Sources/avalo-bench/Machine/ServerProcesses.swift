import AvaloClient
import AvaloCore
import CAvalo
import Glibc

/// The server's processes, and what each of them uses between two looks.
struct ServerProcesses {
  struct Process {
    var name: String
    var pid: Int32
  }

  /// One process' use over a measured phase.
  struct Use {
    var name: String
    var pid: Int32
    var cpuNanoseconds: UInt64
    var before: ProcessSample
    var after: ProcessSample
  }

  let processes: [Process]

  /// Asks avalod at its control socket for itself and its workers.
  static func discover(control: String) async throws(BenchError) -> ServerProcesses {
    let client = HTTPClient(.unix(path: control))
    let reply: HTTPReply
    do {
      reply = try await client.send(HTTPRequest("GET", "/status"))
    } catch {
      throw .unavailable(
        "Cannot ask avalod at \(control) (\(error)). Start it, name its socket with --control, or give --server-pids")
    }
    await client.close()
    guard reply.status == 200, let status = try? JSONText(validating: reply.body) else {
      throw .failed("avalod answered /status with \(reply.status): \(reply.text.prefix(200))")
    }
    return ServerProcesses(processes: processes(in: status))
  }

  /// avalod itself, and each worker's instances by name and slot.
  static func processes(in status: JSONText) -> [Process] {
    status.read { view in
      var found: [Process] = []
      if let pid = view["pid"]?.integer { found.append(Process(name: "avalod", pid: Int32(pid))) }
      guard let workers = view["workers"] else { return found }
      for worker in workers.elements {
        guard let instances = worker["instances"] else { continue }
        for instance in instances.elements {
          guard let pid = instance["pid"]?.integer else { continue }
          let name = "\(worker["name"]?.string ?? "?").\(instance["slot"]?.integer ?? 0)"
          found.append(Process(name: name, pid: Int32(pid)))
        }
      }
      return found
    }
  }

  /// Processes named by whoever started the tool.
  init(pids: [Int32]) throws(BenchError) {
    processes = try pids.map { pid throws(BenchError) in
      guard let name = ProcFile.read("/proc/\(pid)/comm") else { throw .usage("There is no process \(pid)") }
      return Process(name: String(name.prefix { $0 != "\n" }), pid: pid)
    }
  }

  init(processes: [Process]) { self.processes = processes }

  /// Binds every thread there is now to one core; those started later inherit it.
  func pin(to core: Int) throws(BenchError) {
    for process in processes {
      for thread in ProcFile.names(in: "/proc/\(process.pid)/task").compactMap({ Int32($0) }) {
        let error = avalo_pin_thread(thread, Int32(core))
        // A thread may have ended meanwhile.
        guard error == 0 || error == ESRCH else {
          throw .failed("Cannot pin \(process.name) to core \(core): \(String(cString: strerror(error)))")
        }
      }
    }
  }

  func sample() -> [ProcessSample?] { processes.map { ProcessSample.take(pid: $0.pid) } }

  /// What was used between two samples. A process that ended meanwhile spoils the figures and is said.
  func use(from before: [ProcessSample?], to after: [ProcessSample?]) throws(BenchError) -> [Use] {
    var uses: [Use] = []
    for (index, process) in processes.enumerated() {
      guard let before = before[index], let after = after[index] else {
        throw .failed("\(process.name) (pid \(process.pid)) ended during the measurement; see the server's log")
      }
      let cpu = after.cpuNanoseconds - min(after.cpuNanoseconds, before.cpuNanoseconds)
      uses.append(Use(name: process.name, pid: process.pid, cpuNanoseconds: cpu, before: before, after: after))
    }
    return uses
  }
}

/// What this process has used.
enum OwnUse {
  static func cpuNanoseconds() -> UInt64 {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    func nanoseconds(_ time: timeval) -> UInt64 { UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1_000 }
    return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)
  }

  /// Binds the calling thread, and so the load, to one core.
  static func pin(to core: Int) throws(BenchError) {
    let error = avalo_pin_thread(0, Int32(core))
    guard error == 0 else {
      throw .usage(
        "Cannot use core \(core): \(String(cString: strerror(error))). The machine has \(MachineFacts.coreCount)")
    }
  }
}
