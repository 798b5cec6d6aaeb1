import ArgumentParser
import AvaloConsole
import AvaloGateway
import AvaloPresence
import AvaloScheduler
import AvaloSupervisor
import AvaloWebhook
import AvaloWorker
import Dispatch
import Glibc
import avalo_bench
import avaloctl

/// One of the programs in the file `avalo`, which is each of them by the name it is called by. Each runs as a process of
/// its own, and what is mapped from the file is in memory once.
struct Program: Sendable {
  /// Where an installation has its name, below the prefix.
  enum Place: String {
    case sbin, bin
    /// Nobody types it: avalod starts it.
    case workers = "lib/avalo"
  }

  let name: String
  let place: Place
  /// Called on the process's first thread, with the name and what follows it.
  let run: @Sendable ([String]) -> Void

  /// A new one is a line here, and its library in `Package.swift`.
  static let all = [
    Program("avalod", .sbin) { Avalod.main(Array($0.dropFirst())) },
    .worker("avalo-gateway", Gateway.self),
    .worker("avalo-presence", Presence.self),
    .worker("avalo-scheduler", Scheduler.self),
    .worker("avalo-webhook", Webhook.self),
    .worker("avalo-console", Console.self),
    .tool("avaloctl", Avaloctl.self),
    .tool("avalo-bench", AvaloBench.self),
  ]

  static func main(_ arguments: [String]) -> Never {
    let words = arguments.dropFirst()
    if let program = named(arguments.first) { program.start(arguments) }
    if let program = named(words.first) { program.start(Array(words)) }
    if Array(words) == ["--programs"] {
      for program in all { print(program.name, program.place.rawValue) }
      exit(0)
    }
    print("usage: avalo PROGRAM [ARGUMENT...], or a link to it that is called PROGRAM")
    print("       avalo --programs    every program, and the folder where it is installed")
    exit(words.first == "--help" ? 0 : 64)
  }

  private static func named(_ path: String?) -> Program? {
    let name = path?.split(separator: "/").last.map(String.init)
    return all.first { $0.name == name }
  }

  private func start(_ arguments: [String]) -> Never {
    run(arguments)
    exit(0)
  }
}

extension Program {
  private init(_ name: String, _ place: Place, run: @escaping @Sendable ([String]) -> Void) {
    self.init(name: name, place: place, run: run)
  }

  private static func worker<W: Worker>(_ name: String, _ worker: W.Type) -> Program {
    Program(name, .workers) { arguments in
      onTasks { await WorkerMain.run(worker, arguments: arguments) }
    }
  }

  private static func tool<Command: AsyncParsableCommand & SendableMetatype>(
    _ name: String, _ command: Command.Type
  ) -> Program {
    Program(name, .bin) { arguments in
      onTasks { await command.main(Array(arguments.dropFirst())) }
    }
  }

  private static func onTasks(_ body: @escaping @Sendable () async -> Void) -> Never {
    // Ends the process when it ends; nothing cancels it. On the first thread it would get a priority that only root may
    // have, about which libdispatch complains.
    Task(priority: .medium) {
      await body()
      exit(0)
    }
    dispatchMain()
  }
}
