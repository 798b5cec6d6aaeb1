import AvaloSystem
import AvaloWorker
import Glibc
import Synchronization

/// A worker that does what its settings and the test tell it, to see what the skeleton makes of it.
final class TestWorker: Worker {
  struct Settings: Sendable {
    var greeting: String
    var start: String
    var drain: String
    var reload: String
  }

  private let context: WorkerContext
  private let settings: Mutex<Settings>

  static func readSettings(_ reader: inout SettingsReader) -> Settings {
    Settings(
      greeting: reader.string("greeting", default: "hello"),
      start: reader.choice("start", of: ["ok": "ok", "fail": "fail", "never": "never"], default: "ok"),
      drain: reader.choice("drain", of: ["now": "now", "never": "never"], default: "now"),
      reload: reader.choice("reload", of: ["ok": "ok", "fail": "fail"], default: "ok"))
  }

  static func start(_ context: WorkerContext, _ settings: Settings) async throws -> TestWorker {
    switch settings.start {
    case "fail": throw WorkerError("the test wants it so")
    case "never": try await Task.sleep(for: .seconds(3600))
    default: break
    }
    return TestWorker(context, settings)
  }

  private init(_ context: WorkerContext, _ settings: Settings) {
    self.context = context
    self.settings = Mutex(settings)
    context.metrics.counter("test_greetings_total", help: "Greetings.").add(0)
    context.setStatus("ready to greet")
    context.routes.add("GET", "/greeting") { _ in .text(self.settings.withLock { $0.greeting }) }
    context.routes.add("GET", "/sockets") { _ in .text(context.sockets.keys.sorted().joined(separator: ",")) }
    // Blocks the loop for ever.
    context.routes.add("POST", "/hang") { _ in
      context.eventLoop.execute { while true { pause() } }
      return .text("hanging")
    }
    context.routes.add("POST", "/sick") { _ in
      context.liveness.add("test part") { false }
      return .text("sick")
    }
    context.routes.add("POST", "/well") { _ in
      context.liveness.remove("test part")
      return .text("well")
    }
    // What only avalod does with a notifier of its own.
    context.routes.add("POST", "/notify") { _ in
      let notifier = ServiceNotifier()
      notifier.extendTimeout(by: .seconds(2))
      notifier.mainProcess(getpid())
      notifier.status("two\nlines")
      let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
      let stored = notifier.store([descriptor, STDERR_FILENO], name: "client.0")
      close(descriptor)
      notifier.forget(name: "client.0")
      return .text(stored ? "stored" : "not stored")
    }
  }

  func reload(_ settings: Settings) async throws {
    guard settings.reload == "ok" else { throw WorkerError("the test wants it so") }
    self.settings.withLock { $0 = settings }
  }

  func drain(until deadline: MonotonicInstant) async {
    // Ends with the process: the skeleton waits no longer than the deadline.
    if settings.withLock({ $0.drain == "never" }) { try? await Task.sleep(for: .seconds(3600)) }
  }
}
